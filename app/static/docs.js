// Opens the API's description in Swagger UI; in a file of its own because the page allows no
// inline scripts.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
