// Shows the API's description. Trying out is off: a site signs its requests, a page cannot.
window.addEventListener("load", () => {
  const place = document.getElementById("swagger-ui");
  window.SwaggerUIBundle({
    url: place.dataset.schema,
    dom_id: "#swagger-ui",
    deepLinking: true,
    supportedSubmitMethods: [],
    validatorUrl: null,
  });
});
