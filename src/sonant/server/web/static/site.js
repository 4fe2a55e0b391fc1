// What every page can do besides where there is JavaScript: copy, switch the theme at once, say what went wrong.

const YEAR = 365 * 24 * 3600;

for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select and copy by hand";
  }
  setTimeout(() => (button.textContent = label), 1600);
});

document.addEventListener("submit", (event) => {
  const theme = event.submitter?.name === "theme" ? event.submitter.value : null;
  if (!theme) return;
  event.preventDefault();
  document.documentElement.dataset.theme = theme;
  document.cookie = `theme=${theme}; path=/; max-age=${YEAR}; samesite=lax`;
  for (const other of document.querySelectorAll(".theme-button")) if (other !== event.submitter) other.focus();
});

const notice = document.getElementById("notice");

function tell(text) {
  notice.replaceChildren();
  const message = document.createElement("p");
  message.className = "message message--bad";
  message.textContent = text;
  notice.append(message);
}

document.addEventListener("htmx:beforeRequest", () => notice.replaceChildren());
document.addEventListener("htmx:sendError", () => tell("The server cannot be reached. Try again in a moment."));
document.addEventListener("htmx:responseError", (event) => {
  let text = `The server answered with status ${event.detail.xhr.status}.`;
  try {
    text = JSON.parse(event.detail.xhr.responseText).error.message;
  } catch { /* not our shape: the status must do */ }
  tell(text);
});
