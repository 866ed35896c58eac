// Draws the interface from the OpenAPI document. Nothing is asked of another machine: the validator of Swagger UI's makers stays off.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  validatorUrl: null,
});
