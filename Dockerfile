FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
WORKDIR /source
COPY global.json Directory.Build.props Directory.Packages.props BannedSymbols.txt .editorconfig ./
COPY src/ src/
RUN dotnet publish src/ImageAccess.Proxy --configuration Release --output /app && mkdir /data

FROM mcr.microsoft.com/dotnet/aspnet:10.0-noble-chiseled
WORKDIR /app
COPY --from=build /app ./
COPY --from=build --chown=$APP_UID:$APP_UID /data /data
ENV IMAGEACCESS_Listen__Mirror=http://*:5000 \
    IMAGEACCESS_Listen__Admin=http://127.0.0.1:9000 \
    IMAGEACCESS_Data__Directory=/data
USER $APP_UID
VOLUME /data
EXPOSE 5000 8443 3128
ENTRYPOINT ["dotnet", "imageaccess.dll"]
