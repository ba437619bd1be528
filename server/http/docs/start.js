// Draws the document of this service with Swagger UI. Where the service wants a key for it, asks for one first; the key
// is kept in the memory of this tab, for the document and for "Try it out".
"use strict";

const ask = document.getElementById("ask");
const trouble = document.getElementById("trouble");

function complain(words) {
  trouble.textContent = words;
  trouble.hidden = false;
}

function askForKey(words) {
  document.getElementById("why").textContent = words;
  ask.hidden = false;
  document.getElementById("key").focus();
}

function draw(description, key) {
  const interface_ = SwaggerUIBundle({
    spec: description,
    domNode: document.getElementById("interface"),
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    validatorUrl: null,
    onComplete: () => key && interface_.preauthorizeApiKey("key", key),
  });
}

async function start(key) {
  trouble.hidden = true;
  try {
    const reply = await fetch("openapi.json", { headers: key ? { Authorization: `Bearer ${key}` } : {} });
    if (reply.status === 401) {
      askForKey(key ? "The service does not know this key." : "This service asks for an API key.");
    } else if (!reply.ok) {
      complain(`The service answers HTTP ${reply.status}.`);
    } else {
      ask.hidden = true;
      draw(await reply.json(), key);
    }
  } catch (error) {
    complain(`The interface cannot be shown: ${error.message}`);
  }
}

ask.addEventListener("submit", (event) => {
  event.preventDefault();
  start(document.getElementById("key").value.trim());
});

start("");
