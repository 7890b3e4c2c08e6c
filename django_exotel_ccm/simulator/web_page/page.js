// Keeps the page in step with /page/state.json and sends what is pressed.
"use strict";

const token = document.querySelector("meta[name=page-token]").content;
const $ = (id) => document.getElementById(id);
const PHASES = {
  agent_ringing: "the agent’s phone rings", customer_ringing: "the customer’s phone rings",
  talking: "they talk", ended: "over",
};
const LEGS = {
  agent_ringing: ["ringing", "idle"], customer_ringing: ["talking", "ringing"],
  talking: ["talking", "talking"], ended: ["ended", "ended"],
};
const WORDS = { idle: "Idle", ringing: "Ringing…", talking: "On the call", waiting: "Waiting for the customer", ended: "Call ended" };
const POLL = 500;
let chosen = null;
let newest = null;
const drawn = {};

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
  draw(data);
}

function complain(words) {
  $("problem").textContent = words;
  $("problem").hidden = !words;
}

async function send(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST", body: JSON.stringify(body),
      headers: { "Content-Type": "application/json", "X-Page-Token": token },
    });
    complain(answer.ok ? "" : (await answer.json()).error);
  } catch {
    complain("The simulator does not answer. Has it been stopped?");
  }
  await look();
}

function badge(call) {
  if (call.state === "terminal") return [call.status, call.status === "completed" ? "good" : "bad"];
  return [PHASES[call.phase], "wait"];
}

// An agent of whom the simulator knows the number alone is called by it.
function nameOf(agent) {
  return agent.name === agent.uri ? agent.uri : `${agent.name} (${agent.uri})`;
}

function drawPhone(leg, state, who, uri, presses) {
  const phone = $(`phone-${leg}`);
  const hadFocus = phone.contains(document.activeElement);
  phone.className = `phone ${state}`;
  phone.querySelector(".who").textContent = who;
  phone.querySelector(".uri").textContent = uri;
  phone.querySelector(".face").textContent = /^[a-z]/i.test(who) ? who[0].toUpperCase() : leg[0].toUpperCase();
  const waits = leg === "agent" && state === "talking" && presses.some(([other]) => other === "customer") && presses.some(([, action]) => action === "answer");
  phone.querySelector(".state").textContent = WORDS[waits ? "waiting" : state];
  for (const button of phone.querySelectorAll("button"))
    button.hidden = !presses.some(([of, action]) => of === leg && action === button.dataset.action);
  if (hadFocus && document.activeElement.hidden !== false) (phone.querySelector("button:not([hidden])") || phone).focus();
}

function drawStage(call) {
  if (!call) return;
  const [agent, customer] = LEGS[call.phase];
  drawPhone("agent", agent, call.agent.name === call.agent.uri ? "Agent" : call.agent.name, call.agent.uri, call.presses);
  drawPhone("customer", customer, "Customer", call.customer_number, call.presses);
  $("line").className = `line ${call.phase === "talking" ? "live" : ""}`;
  $("let-it-ring").hidden = !call.phase.endsWith("ringing");
  const about = call.custom_field ? `, about ${call.custom_field}` : "";
  const talk = call.state === "terminal" ? `, ${call.talk_time} s of talk` : "";
  $("call-line").textContent = `${nameOf(call.agent)} to ${call.customer_number}${about}: ${badge(call)[0]}${talk}`;
  const audio = $("player").querySelector("audio");
  $("player").hidden = !call.player;
  if (call.player && audio.getAttribute("src") !== call.player) audio.src = call.player;
}

function drawCalls([calls, current]) {
  const focused = document.activeElement.closest("#calls button")?.dataset.sid;
  $("calls").replaceChildren(...calls.map((call) => {
    const [words, tone] = badge(call);
    const button = make("button", { type: "button", "data-sid": call.call_sid, "aria-current": String(call.call_sid === current) },
      make("span", {}, `${nameOf(call.agent)} → ${call.customer_number}`), make("span", { class: `badge ${tone}` }, words));
    button.addEventListener("click", () => { chosen = call.call_sid; look(); });
    return make("li", {}, button);
  }));
  if (focused) $("calls").querySelector(`[data-sid="${CSS.escape(focused)}"]`)?.focus();
}

function drawLog(entries) {
  if (!entries.length) return;
  $("log").replaceChildren(...entries.map((entry) => {
    const good = entry.status >= 200 && entry.status < 300;
    return make("li", {}, make("time", { datetime: entry.at }, new Date(entry.at).toLocaleTimeString("en-GB")),
      make("span", { class: "what" }, make("span", { class: "way" }, entry.way), ` ${entry.what}`),
      make("span", { class: `badge ${good ? "good" : "bad"}` }, entry.status ?? "no answer"));
  }));
}

function logOf(state) {
  const received = state.requests.map(({ really_at: at, method, path, status }) => ({ at, status, way: `→ ${method}`, what: path }));
  const sent = state.deliveries.map((one) => ({
    at: one.really_at, status: one.status, way: `← ${one.event}`,
    what: [`try ${one.attempt}, ${one.url}`, one.destination === "account" ? "the account’s own URL" : "", ...one.faults, one.error].filter(Boolean).join(" · "),
  }));
  return [...received, ...sent].sort((a, b) => b.at.localeCompare(a.at)).slice(0, 60);
}

function drawAgents(agents) {
  const focused = document.activeElement.id;
  $("agents").replaceChildren(...agents.map((agent) => {
    const id = `device-${agent.user_id}`;
    const select = make("select", { id, "aria-label": `${agent.name}’s device` }, ...agent.devices.map((device) => {
      const option = make("option", { value: device }, device);
      option.selected = device === agent.device;
      return option;
    }));
    select.addEventListener("change", () => send("/page/device", { user_id: agent.user_id, device: select.value }));
    const name = make("span", {}, make("strong", {}, agent.name), agent.in_call ? " · on a call" : "", make("span", { class: "uri" }, agent.name === agent.uri ? "" : agent.uri));
    return make("li", {}, name, make("label", {}, make("span", {}, "Device"), select));
  }));
  if (focused.startsWith("device-")) $(focused)?.focus();
}

function drawElsewhere(agents) {
  const chosenAgent = $("elsewhere-agent").value;
  $("elsewhere-agent").replaceChildren(...agents.map(([name, id]) => make("option", { value: id }, name)));
  if (chosenAgent) $("elsewhere-agent").value = chosenAgent;
}

function drawControls({ options, speed }) {
  $("by-hand").checked = options.by_hand === "True";
  const select = $("speed");
  if (![...select.options].some((option) => Number(option.value) === speed)) select.append(make("option", { value: speed }, `${speed}×`));
  select.value = [...select.options].find((option) => Number(option.value) === speed).value;
}

function drawOptions({ options, scenario }) {
  for (const control of $("options").elements) {
    const value = options[control.name];
    if (control.type === "checkbox") control.checked = value === "True";
    else if (control !== document.activeElement) control.value = value;
    control.closest(".row").classList.toggle("changed", value !== control.dataset.first);
  }
  for (const group of $("options").querySelectorAll("details")) {
    const badge = group.querySelector(".badge");
    const count = group.querySelectorAll(".changed").length;
    badge.hidden = !count;
    badge.textContent = `${count} changed`;
  }
  for (const button of document.querySelectorAll("[data-scenario]")) button.setAttribute("aria-pressed", button.dataset.scenario === scenario);
  const title = document.querySelector(`[data-scenario="${scenario}"] strong`)?.textContent;
  const names = [...$("options").querySelectorAll(".changed [name]")].map((control) => control.name);
  $("changed").textContent = [title ?? "A mixture of your own", names.length ? `options changed: ${names.join(", ")}` : ""].filter(Boolean).join("; ") + ".";
}

function drawFaults(faults) {
  const counts = Object.entries(faults).map(([name, times]) => `${name} ${times}`);
  $("faults").textContent = counts.length ? `Faults so far: ${counts.join(", ")}.` : "";
}

function show(state) {
  state.calls.reverse();
  const first = state.calls[0]?.call_sid ?? null;
  if (first !== newest) { newest = first; chosen = first; }  // a new call comes to the front
  const call = state.calls.find((one) => one.call_sid === chosen);
  redraw("stage", call, drawStage);
  if (state.calls.length) redraw("calls", [state.calls, chosen], drawCalls);
  redraw("log", logOf(state), drawLog);
  redraw("agents", state.agents, drawAgents);
  redraw("elsewhere", state.agents.map(({ name, user_id: id }) => [name, id]), drawElsewhere);
  redraw("controls", { options: state.options, speed: state.speed }, drawControls);
  redraw("options", { options: state.options, scenario: state.scenario }, drawOptions);
  redraw("faults", state.faults, drawFaults);
  $("exophones").textContent = state.exophones.join(", ");
}

async function look() {
  try {
    const answer = await fetch("/page/state.json");
    show(await answer.json());
    if ($("problem").dataset.gone) { delete $("problem").dataset.gone; complain(""); }
  } catch {
    $("problem").dataset.gone = "yes";
    complain("The simulator does not answer. Has it been stopped?");
  }
}

async function watch() {
  await look();
  setTimeout(watch, POLL);
}

for (const button of document.querySelectorAll(".buttons button"))
  button.addEventListener("click", () => send("/page/press", { call_sid: chosen, leg: button.dataset.leg, action: button.dataset.action }));
$("by-hand").addEventListener("change", (event) => send("/page/options", { by_hand: String(event.target.checked) }));
$("speed").addEventListener("change", (event) => send("/page/speed", { speed: Number(event.target.value) }));
for (const button of document.querySelectorAll("[data-scenario]"))
  button.addEventListener("click", () => send("/page/scenario", { name: button.dataset.scenario }));
for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
$("options").addEventListener("change", async ({ target }) => {
  delete drawn.options;  // a value that was refused is replaced by the one in force
  await send("/page/options", { [target.name]: target.type === "checkbox" ? String(target.checked) : target.value });
});
$("elsewhere").addEventListener("submit", () => send("/page/elsewhere", {
  agent: $("elsewhere-agent").value, customer_number: $("elsewhere-customer").value, recording: $("elsewhere-recording").checked,
}));
$("restart").addEventListener("submit", () => send("/page/restart", {
  seconds: Number($("restart-seconds").value), deliveries: $("restart-deliveries").value,
}));
watch();
