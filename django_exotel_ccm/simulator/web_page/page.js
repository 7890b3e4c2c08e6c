// Keeps the page in step with /page/state.json, and sends what is pressed, set or submitted.
"use strict";

const $ = (id) => document.getElementById(id);
const token = document.querySelector("meta[name=page-token]").content;
const PHASES = { // what happens, the state of the agent's phone, and of the customer's
  agent_ringing: ["the agent’s phone rings", "ringing", "idle"],
  customer_ringing: ["the customer’s phone rings", "waiting", "ringing"],
  talking: ["they talk", "talking", "talking"],
  ended: ["over", "ended", "ended"],
};
const WORDS = {
  idle: "Idle", ringing: "Ringing…", waiting: "Waiting for the customer", talking: "On the call", ended: "Call ended",
};
const LABELS = { answer: "Answer", decline: "Decline", hang_up: "Hang up" };
const GONE = "The simulator does not answer. Has it been stopped?";
const POLL = 500; // milliseconds
const LOGGED = 60; // lines at most
let chosen = null; // the sid of the call whose phones are shown
let newest = null;
let drawn = {};

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Draw a part only when its data changed: focus and playing audio stay where they are.
function redraw(name, data, draw) {
  const text = JSON.stringify(data);
  if (drawn[name] === text) return;
  drawn[name] = text;
  const { id } = document.activeElement;
  draw(data);
  if (id) $(id)?.focus();
}

function showProblem(words) {
  $("problem").textContent = words;
  $("problem").hidden = !words;
}

async function send(path, body) {
  try {
    const headers = { "Content-Type": "application/json", "X-Page-Token": token };
    const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    showProblem(answer.ok ? "" : (await answer.json()).error);
    if (!answer.ok) drawn = {}; // a value that was refused is replaced by the one in force
  } catch {
    showProblem(GONE);
  }
  await refresh();
}

// An agent of whom the simulator knows the number alone is called by it.
const nameOf = (agent) => (agent.name === agent.uri ? agent.uri : `${agent.name} (${agent.uri})`);

function badge(call) {
  if (call.state !== "terminal") return [PHASES[call.phase][0], "wait"];
  return [call.status, call.status === "completed" ? "good" : "bad"];
}

function drawPhone(leg, state, who, uri, call) {
  const phone = $(`phone-${leg}`);
  phone.className = `phone ${state}`;
  phone.querySelector(".who").textContent = who;
  phone.querySelector(".uri").textContent = uri;
  phone.querySelector(".state").textContent = WORDS[state];
  const buttons = call.presses.filter(([of]) => of === leg).map(([, action]) => make("button", {
    type: "button", class: action === "answer" ? "answer" : "decline", id: `${leg}-${action}`,
    "data-post": "/page/press", "data-call_sid": call.call_sid, "data-leg": leg, "data-action": action,
  }, LABELS[action]));
  const hadFocus = phone.contains(document.activeElement);
  phone.querySelector(".buttons").replaceChildren(...buttons);
  if (hadFocus) (buttons[0] ?? phone).focus();
}

function drawStage(call) {
  if (!call) return;
  const { agent } = call;
  const [, agentState, customerState] = PHASES[call.phase];
  drawPhone("agent", agentState, agent.name === agent.uri ? "Agent" : agent.name, agent.uri, call);
  drawPhone("customer", customerState, "Customer", call.customer_number, call);
  $("let-it-ring").hidden = !call.phase.endsWith("ringing");
  const about = call.custom_field ? `, about ${call.custom_field}` : "";
  const talk = call.state === "terminal" ? `, ${call.talk_time} s of talk` : "";
  $("call-line").textContent = `${nameOf(agent)} to ${call.customer_number}${about}: ${badge(call)[0]}${talk}`;
  const audio = $("player").querySelector("audio");
  $("player").hidden = !call.player;
  if (call.player && audio.getAttribute("src") !== call.player) audio.src = call.player;
}

function drawCalls([calls, current]) {
  if (!calls.length) return;
  $("calls").replaceChildren(...calls.map((call) => {
    const [words, tone] = badge(call);
    const about = make("span", {}, `${nameOf(call.agent)} → ${call.customer_number}`);
    const isCurrent = String(call.call_sid === current);
    const attributes = { type: "button", id: call.call_sid, "data-choose": call.call_sid, "aria-current": isCurrent };
    return make("li", {}, make("button", attributes, about, make("span", { class: `badge ${tone}` }, words)));
  }));
}

function logOf({ requests, deliveries }) {
  const received = requests.map((one) => ({ ...one, way: `→ ${one.method}`, what: [one.path] }));
  const sent = deliveries.map((one) => ({
    ...one, way: `← ${one.event}`,
    what: [`try ${one.attempt}`, one.url, one.destination === "account" && "the account’s own URL", ...one.faults, one.error],
  }));
  return [...received, ...sent].sort((a, b) => b.wall_time.localeCompare(a.wall_time)).slice(0, LOGGED);
}

function drawLog(entries) {
  if (!entries.length) return;
  $("log").replaceChildren(...entries.map(({ wall_time: at, way, what, status }) => make("li", {},
    make("time", { datetime: at }, new Date(at).toLocaleTimeString("en-GB")),
    make("span", { class: "what" }, make("strong", {}, way), ` ${what.filter(Boolean).join(" · ")}`),
    make("span", { class: `badge ${status >= 200 && status < 300 ? "good" : "bad"}` }, status ?? "no answer"))));
}

function deviceSwitch(agent, device, states) {
  const { name, uri, user_id: user } = agent;
  const select = make("select", {
    id: `device-${device.id}`, name: "device", "aria-label": `${name}’s device ${device.contact_uri}`,
    "data-post": "/page/device", "data-user_id": user, "data-device_id": device.id,
  }, ...states.map((one) => make("option", {}, one)));
  select.value = device.state;
  const shown = name === uri ? "Device" : device.contact_uri;
  return make("label", {}, make("span", { class: "uri" }, shown), select);
}

function drawAgents({ agents, states }) {
  $("agents").replaceChildren(...agents.map((agent) => make("li", {},
    make("span", {}, make("strong", {}, agent.name), agent.call_sid ? " · on a call" : ""),
    make("span", { class: "devices" }, ...agent.devices.map((device) => deviceSwitch(agent, device, states))))));
  const { value } = $("external-agent");
  $("external-agent").replaceChildren(...agents.map(({ name, user_id: id }) => make("option", { value: id }, name)));
  if (value) $("external-agent").value = value;
}

function drawOptions({ options, changed, scenario }) {
  for (const control of document.querySelectorAll("[data-post='/page/options']")) {
    const value = options[control.name];
    if (control.type === "checkbox") control.checked = value === "True";
    else if (control !== document.activeElement) control.value = value;
    control.closest(".row")?.classList.toggle("changed", changed.includes(control.name));
  }
  for (const button of document.querySelectorAll("[data-name]"))
    button.setAttribute("aria-pressed", button.dataset.name === scenario);
  const title = document.querySelector(`[data-name="${scenario}"] strong`)?.textContent ?? "A mixture of your own";
  $("changed").textContent = changed.length ? `${title}; options changed: ${changed.join(", ")}.` : `${title}.`;
}

function show(state) {
  state.calls.reverse();
  const first = state.calls[0]?.call_sid ?? null;
  if (first !== newest) newest = chosen = first; // a new call comes to the front
  redraw("stage", state.calls.find((one) => one.call_sid === chosen), drawStage);
  redraw("calls", [state.calls, chosen], drawCalls);
  redraw("log", logOf(state), drawLog);
  redraw("agents", { agents: state.agents, states: state.device_states }, drawAgents);
  redraw("options", { options: state.options, changed: state.changed, scenario: state.scenario }, drawOptions);
  redraw("speed", state.speed, (speed) => { $("speed").value = speed; });
  const counts = Object.entries(state.faults).map(([name, times]) => `${name} ${times}`);
  $("faults").textContent = counts.length ? `Faults so far: ${counts.join(", ")}.` : "";
  $("exophones").textContent = state.exophones.join(", ");
}

async function refresh() {
  try {
    const answer = await fetch("/page/state.json");
    show(await answer.json());
    if ($("problem").textContent === GONE) showProblem("");
  } catch {
    showProblem(GONE);
  }
}

async function poll() {
  await refresh();
  setTimeout(poll, POLL);
}

document.addEventListener("click", ({ target }) => {
  const { post, choose, ...body } = target.closest("button")?.dataset ?? {};
  if (post) send(post, body);
  if (choose) { chosen = choose; refresh(); }
});
document.addEventListener("change", ({ target }) => {
  const { post, ...body } = target.dataset;
  if (post) send(post, { ...body, [target.name]: target.type === "checkbox" ? String(target.checked) : target.value });
});
document.addEventListener("submit", (event) => {
  event.preventDefault();
  send(event.target.dataset.post, Object.fromEntries(new FormData(event.target)));
});
poll();
