// Everything comes from this machine: a line's network need not reach any other. The address is put together
// without the key that may stand in the page's own, which no browser fetches.
const spec = new URL("docs.json", location.origin + location.pathname).href;
SwaggerUIBundle({ url: spec, dom_id: "#page", deepLinking: true });
