"""Addresses of the API: its routes below v1/, their description, and a page that shows it."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI

from accounts.api import addresses, domains, records, sending, users
from accounts.api.errors import NOTHING, add_handlers

api = NinjaAPI(
    title="Postroom",
    version="1",
    description="Everything the console does, with an API token: `Authorization: Bearer pra_…`. "
    "Lists page by key: `next` of one page is `after` of the next.",
    docs_url=None,  # Swagger's and Redoc's pages write inline styles, which our CSP refuses: see `docs`
    openapi_url=None,
    urls_namespace="api-v1",
)
add_handlers(api)
for router in (
    domains.router,
    users.router,
    addresses.router,
    sending.senders,
    sending.routes,
    sending.queue,
    records.trace,
    records.reports,
    records.audit,
):
    api.add_router("", router)


@csrf_exempt
def nothing(_request: HttpRequest, address: str) -> HttpResponse:
    """Programs are told in JSON of an address that is none, too."""
    return JsonResponse({"error": NOTHING, "field": ""}, status=404)


from accounts.api import docs  # noqa: E402  # they describe what is above

urlpatterns = [
    path("", docs.page, name="api-docs"),
    path("openapi.json", docs.openapi, name="api-openapi"),
    path("v1/", api.urls),
    path("<path:address>", nothing),
]
