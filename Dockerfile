# Equiderm in a container that runs without root, on a root file system that is read-only:
#   docker build -t equiderm .                        labels, audits, data sets
#   docker build -t equiderm-train --target train .   training, too
#   docker run --rm --read-only --tmpfs /tmp --network none -u "$(id -u):$(id -g)" \
#     -v "$PWD:/work" equiderm label photographs -o tones.csv
FROM python:3.12-slim AS source
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY experiments ./experiments
COPY src ./src
RUN python -m venv /opt/equiderm

FROM source AS built-core
RUN /opt/equiderm/bin/python -m pip install --no-cache-dir -c constraints.txt '.[dicom,heic,jxl,remote]'

FROM built-core AS built-train
RUN /opt/equiderm/bin/python -m pip install --no-cache-dir -c constraints.txt '.[train]'

FROM python:3.12-slim AS runtime
# What programs write for themselves goes where --tmpfs is.
ENV PATH=/opt/equiderm/bin:$PATH \
    HOME=/tmp \
    XDG_CACHE_HOME=/tmp/cache \
    XDG_STATE_HOME=/tmp/state \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /work
USER 10001:10001
ENTRYPOINT ["equiderm"]
CMD ["--help"]

FROM runtime AS train
COPY --from=built-train /opt/equiderm /opt/equiderm

FROM runtime AS core
COPY --from=built-core /opt/equiderm /opt/equiderm
