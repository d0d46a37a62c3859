FROM alpine
#^ FROM: alpine
COPY --from=7 /a /b
#^ COPY --from ? there is no stage 7
