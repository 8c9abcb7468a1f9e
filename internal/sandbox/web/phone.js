// Fetches the page again when something has happened on the phones, and
// exchanges the parts marked data-live. An open chat is a chat being read.

let known = document.body.dataset.changes;
let busy = false;

function toEnd() {
  const lines = document.getElementById("lines");
  if (lines) lines.scrollTop = lines.scrollHeight;
}

async function read() {
  const form = document.getElementById("read");
  if (!form || document.hidden || document.getElementById("lines").dataset.unread === "0") return;
  await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
}

async function refresh() {
  const reply = await fetch(location.href);
  if (!reply.ok) return;
  const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    const typing = part.contains(document.activeElement) && document.activeElement.matches("input");
    if (!next || typing || part.querySelector("details[open]") || next.outerHTML === part.outerHTML) continue;
    part.replaceWith(document.adoptNode(next));
    if (part.id === "lines") toEnd();
  }
}

async function look() {
  if (busy || document.hidden) return;
  busy = true;
  try {
    const { changes } = await (await fetch("changes")).json();
    if (String(changes) !== known) {
      known = String(changes);
      await refresh();
      await read();
    }
  } catch {
    // The sandbox is away; the next look may find it again.
  }
  busy = false;
}

// Sent without leaving the page, so that a conversation can be typed.
document.getElementById("say")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const reply = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  if (!reply.ok) return form.submit();
  form.elements.body.value = "";
  await look();
});

toEnd();
document.getElementById("body")?.focus({ preventScroll: true });
read();
setInterval(look, 700);
setInterval(() => document.hidden || refresh().catch(() => {}), 10_000);
