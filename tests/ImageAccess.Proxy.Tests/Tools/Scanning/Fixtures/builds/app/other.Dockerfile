ARG VERSION
ARG FLAVOUR
FROM alpine:${VERSION}
#^ FROM: alpine:3.18
#^ FROM: alpine:3.19
FROM debian:12-$FLAVOUR
#^ FROM: debian:12-fat
#^ FROM: debian:12-slim
