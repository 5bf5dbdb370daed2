"""The front end: Celery app, settings, HTTP, dispatch, command line and pages."""
