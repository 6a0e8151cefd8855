// Everything comes from this machine: a line's network need not reach any other.
SwaggerUIBundle({ url: "docs.json", dom_id: "#page", deepLinking: true });
