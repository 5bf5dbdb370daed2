"""How each step is done: components, and the Celery tasks over them."""
