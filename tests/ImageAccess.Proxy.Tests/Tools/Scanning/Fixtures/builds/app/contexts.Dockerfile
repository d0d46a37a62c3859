FROM base
COPY --from=sources / /
COPY --from=other / /
RUN --mount=from=someuser/not-a-context,target=/x true
#^ RUN --mount: someuser/not-a-context
