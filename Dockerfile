# Needs BuildKit, podman or buildah, which name the platforms; an old buildah names no TARGETARCH, and builds for its own machine.
FROM --platform=$BUILDPLATFORM mcr.microsoft.com/dotnet/sdk:10.0 AS build
ARG TARGETARCH
WORKDIR /source
# What restoring needs, by itself: its layer stays until a package changes.
COPY global.json Directory.Build.props Directory.Packages.props BannedSymbols.txt .editorconfig ./
COPY src/ImageAccess.Core/ImageAccess.Core.csproj src/ImageAccess.Core/
COPY src/ImageAccess.Proxy/ImageAccess.Proxy.csproj src/ImageAccess.Proxy/
RUN dotnet restore src/ImageAccess.Proxy ${TARGETARCH:+--arch $TARGETARCH}
COPY src/ src/
RUN dotnet publish src/ImageAccess.Proxy --configuration Release --no-restore ${TARGETARCH:+--arch $TARGETARCH} --no-self-contained --output /app && mkdir /data

FROM mcr.microsoft.com/dotnet/aspnet:10.0-noble-chiseled
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ImageAccess.Proxy" \
      org.opencontainers.image.description="Enforces on the network which kinds of Docker Hub images may be used" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.base.name="mcr.microsoft.com/dotnet/aspnet:10.0-noble-chiseled"
WORKDIR /app
COPY --from=build /app ./
COPY --from=build --chown=$APP_UID:$APP_UID /data /data
ENV IMAGEACCESS_Listen__Mirror=http://*:5000 \
    IMAGEACCESS_Listen__Admin=http://127.0.0.1:9000 \
    IMAGEACCESS_Data__Directory=/data
USER $APP_UID
VOLUME /data
EXPOSE 5000 8443 3128
# There is no shell and no curl in the image: the program asks itself.
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s CMD ["dotnet", "imageaccess.dll", "health"]
ENTRYPOINT ["dotnet", "imageaccess.dll"]
