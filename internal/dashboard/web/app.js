// Keeps a page up to date: when events arrive, the page is fetched again and
// its parts marked data-live are exchanged. What is shown is drawn on the
// server alone; without this script the same page is there, as it was loaded.

const pulse = document.getElementById("pulse");
const feed = document.getElementById("feed");
const job = document.querySelector("[data-job]")?.dataset.job;
const types = document.body.dataset.types.split(" ");

// ---- exchange of the live parts

let dirty = false;
let busy = false;
let last = performance.now();
let cost = 0;

// held is true for a part that somebody is using: it is left as it is.
function held(part) {
  return part.contains(document.activeElement) && document.activeElement.matches("input, select, button, summary")
    || part.querySelector("details.menu[open]");
}

function exchange(fresh) {
  for (const part of document.querySelectorAll("[data-live][id]")) {
    const next = fresh.getElementById(part.id);
    if (!next || held(part)) continue;
    for (const open of part.querySelectorAll("details[open][id]")) {
      next.querySelector("#" + CSS.escape(open.id))?.setAttribute("open", "");
    }
    if (next.outerHTML !== part.outerHTML) part.replaceWith(document.adoptNode(next));
  }
}

async function refresh() {
  busy = true;
  dirty = false;
  const begun = performance.now();
  try {
    const reply = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (reply.redirected && new URL(reply.url).pathname === "/sign-in") location.assign(reply.url);
    else if (reply.ok) exchange(new DOMParser().parseFromString(await reply.text(), "text/html"));
  } catch {
    // The server is away: the stream says so, and comes back by itself.
  }
  last = performance.now();
  cost = last - begun;
  busy = false;
}

// Something has changed at most every second, more rarely where a page costs
// more; and every ten seconds in any case, since estimates grow old.
function beat() {
  if (busy || document.hidden) return;
  const age = performance.now() - last;
  if (age > 10_000 || (dirty && age > Math.max(1_000, 5 * cost))) refresh();
}

// ---- the feed

const rows = 200;
let hold = false;
let queue = [];

function mask(address) {
  const id = address.replace(/^whatsapp:/, "");
  if (!("mask" in document.body.dataset)) return id;
  return id.length <= 6 ? "…" : id.slice(0, 3) + "…" + id.slice(-2);
}

function cell(row, name, ...parts) {
  const td = row.insertCell();
  td.className = name;
  td.append(...parts.filter(Boolean));
}

function element(tag, name, text, href) {
  const e = document.createElement(tag);
  e.className = name;
  e.textContent = text;
  if (href) e.href = href;
  return e;
}

const words = JSON.parse(feed?.dataset.why ?? "{}"); // for reasons, as on the other pages
const tones = {
  delivered: "good", read: "good", failed: "bad", undelivered: "bad", expired: "bad", rejected: "bad",
  unknown: "doubt", held: "doubt", sending: "going", queued: "going", sent: "going",
};

function rowOf(event) {
  const row = document.createElement("tr");
  const inbound = event.type === "inbound";
  const customer = inbound ? event.from : event.to;
  const sender = inbound ? event.to : event.from;
  row.className = "fresh";
  cell(row, "num", element("time", "", new Date(event.at).toISOString().slice(11, 23)));
  cell(row, "", element("span", "status " + (tones[event.type] ?? "calm"), event.type));
  cell(row, "", event.job && element("a", "id", event.job, "/jobs/" + encodeURIComponent(event.job)));
  cell(row, "mono", customer && mask(customer));
  cell(row, "mono", sender && sender.replace(/^whatsapp:/, ""));
  cell(row, "why", event.error?.code && element("span", "code", event.error.code + " "), words[event.reason] ?? event.reason);
  return row;
}

function show() {
  if (hold || !queue.length) return;
  const newest = queue.slice(-rows).reverse().map(rowOf);
  queue = [];
  feed.prepend(...newest);
  while (feed.rows.length > rows) feed.deleteRow(-1);
  document.getElementById("quiet")?.setAttribute("hidden", "");
}

if (feed) {
  const button = document.getElementById("hold");
  button.hidden = false;
  button.addEventListener("click", () => {
    hold = !hold;
    button.setAttribute("aria-pressed", hold);
    button.textContent = hold ? "Go on" : "Hold";
  });
}

// ---- the stream

function listen() {
  const where = feed ? feed.dataset.stream : "/v1/events" + (job ? "?job=" + encodeURIComponent(job) : "");
  const stream = new EventSource(where);
  const say = (on, text) => {
    pulse.hidden = false;
    pulse.classList.toggle("on", on);
    pulse.textContent = text;
  };
  stream.addEventListener("open", () => say(true, "live"));
  stream.addEventListener("error", () => say(false, "connecting"));
  for (const type of types) {
    stream.addEventListener(type, (message) => {
      if (!feed) dirty = true;
      else if (queue.push(JSON.parse(message.data)) > 2 * rows) queue = queue.slice(-rows);
    });
  }
  addEventListener("pagehide", () => stream.close());
}

if (document.querySelector("[data-live][id], #feed") && document.querySelector("nav[aria-label=Pages]")) {
  listen();
  if (feed) setInterval(show, 250);
  else setInterval(beat, 250);
}

// What was done is said once, not again after a reload.
const here = new URL(location.href);
if (here.searchParams.has("done")) {
  for (const word of ["done", "again", "refused", "more"]) here.searchParams.delete(word);
  history.replaceState(null, "", here);
}
