/** Points in the plane, colored by label, with their sounds. */

function drawPlanes() {
  const data = read("planes");
  const sound = document.getElementById("sound");
  const field = document.getElementById("field");
  const legend = document.getElementById("legend");
  const follow = document.getElementById("follow");
  const COLORS = 6;
  const MOST = 30; // labels with a color and shape of their own
  const NEAR = 45; // units of the plane
  const SHAPES = [
    "M-11,0a11,11 0 1,0 22,0a11,11 0 1,0 -22,0Z",
    "M-10,-10H10V10H-10Z",
    "M0,-13L13,10H-13Z",
    "M0,-14L13,0L0,14L-13,0Z",
    "M-4,-12H4V-4H12V4H4V12H-4V4H-12V-4H-4Z",
  ];
  const LABELS = { speaker: "speaker", word: "word", phone: "phone" }; // colored first, where they are there
  let until = Infinity; // second at which the sound stops
  let only = null; // the label that is shown alone

  const chosen = (name) => document.querySelector(`input[name=${name}]:checked`)?.value;
  const styleOf = (value) => (value < 0 || value >= MOST ? ["kx", SHAPES[0]] : [`k${value % COLORS}`, SHAPES[Math.floor(value / COLORS)]]);

  function play(set, number) {
    const uri = data.sounds[set.clips[number]];
    if (!uri) {
      sound.pause();
      return false;
    }
    const [begin, end] = set.times ? set.times[number] : [0, Infinity];
    const start = () => {
      sound.currentTime = begin;
      until = end;
      sound.play().catch(() => {}); // the browser may want a press first
    };
    if (sound.src === uri && sound.readyState > 0) start();
    else {
      sound.src = uri;
      sound.addEventListener("loadedmetadata", start, { once: true });
    }
    return true;
  }
  function watch() {
    if (sound.paused) return;
    if (sound.currentTime < until) requestAnimationFrame(watch);
    else {
      sound.pause();
      until = Infinity; // for the controls, which play the rest
    }
  }
  sound.addEventListener("playing", watch);
  document.addEventListener("keydown", (event) => event.key === "Escape" && sound.pause());

  function label(set, name, number) {
    const { names, values, numbers } = set.fields[name];
    return numbers ? numbers[number] : (names[values[number]] ?? null);
  }

  function describe(set, number) {
    const [name, seconds] = data.clips[set.clips[number]] ?? ["", 0];
    const labels = Object.keys(set.fields).map((each) => [each, label(set, each, number)]);
    const said = labels.filter(([, value]) => value !== null).map(([each, value]) => `${each} ${value}`).join(", ");
    const where = set.times ? `${set.times[number].map((time) => time.toFixed(2)).join(" to ")} s of ` : `${seconds} s, `;
    return [said, where + name];
  }

  class Plane {
    constructor(figure) {
      this.svg = figure.querySelector("svg.plane");
      this.layer = figure.querySelector(".layer");
      this.layerName = figure.querySelector(".layer-name");
      this.readout = figure.querySelector(".readout");
      this.explained = figure.querySelector(".explained");
      this.group = figure.querySelector(".points");
      this.ring = figure.querySelector(".chosen");
      this.projections = data.models[figure.dataset.model];
      this.drawn = null; // number of the set whose points are there
      this.number = -1; // of the chosen point
      this.first = Number(figure.dataset.layer); // that is shown first
      this.ring.setAttribute("d", "M-21,0a21,21 0 1,0 42,0a21,21 0 1,0 -42,0Z");
      this.layer.addEventListener("input", () => this.draw());
      this.svg.addEventListener("pointermove", (event) => event.pointerType === "mouse" && this.under(event, follow.checked));
      this.svg.addEventListener("click", (event) => this.under(event, true, true));
      this.svg.addEventListener("keydown", (event) => this.key(event));
    }

    get fitting() {
      const [method, of] = [chosen("method"), chosen("of")];
      return this.projections.filter((each) => each.method === method && each.of === of);
    }

    /** Choose the projection that fits the controls: of the same layer as before, if there is one. */
    draw() {
      const fitting = this.fitting;
      this.layer.max = Math.max(fitting.length - 1, 0);
      if (this.now === undefined) this.layer.value = Math.max(fitting.findIndex((each) => each.layer === this.first), 0);
      const now = fitting[this.layer.value];
      this.svg.toggleAttribute("hidden", !now);
      this.layer.disabled = fitting.length < 2;
      if (!now) {
        this.layerName.textContent = "";
        this.group.replaceChildren();
        [this.now, this.drawn] = [null, null];
        this.readout.textContent = "There is no projection of these points by this method.";
        return;
      }
      this.now = now;
      this.set = data.sets[now.set];
      this.layerName.textContent = now.layer;
      this.layer.setAttribute("aria-valuetext", `layer ${now.layer}`);
      const shares = now.explained?.map((share) => `${(100 * share).toFixed(0)} %`);
      this.explained.textContent = shares ? ` axes with ${shares.join(" and ")} of the variance` : "";
      if (this.drawn !== now.set) {
        this.group.replaceChildren(...this.set.clips.map(() => element("path", {})));
        [this.drawn, this.number] = [now.set, -1];
        this.readout.replaceChildren(element("span", {}, "Press a point to play its sound."));
        this.color();
      }
      [...this.group.children].forEach((point, number) => {
        point.style.transform = `translate(${now.points[2 * number]}px, ${now.points[2 * number + 1]}px)`;
      });
      this.mark();
    }

    color() {
      const { values, numbers } = this.set?.fields[field.value] ?? {};
      const given = (numbers ?? []).filter((each) => each !== null);
      const [low, high] = [Math.min(...given), Math.max(...given)];
      [...this.group.children].forEach((point, number) => {
        const share = numbers && numbers[number] !== null ? (numbers[number] - low) / (high - low || 1) : null;
        const [kind, shape] = styleOf(values ? values[number] : -1);
        point.setAttribute("d", shape);
        point.setAttribute("class", share === null ? kind : "");
        point.style.fill = share === null ? "" : `color-mix(in oklab, var(--high) ${(100 * share).toFixed(1)}%, var(--low))`;
        point.classList.toggle("off", only !== null && values?.[number] !== only);
      });
    }

    at(number) {
      return [this.now.points[2 * number], this.now.points[2 * number + 1]];
    }

    visible(number) {
      return only === null || this.set.fields[field.value].values?.[number] === only;
    }

    under(event, sounds, isPress = false) {
      if (!this.now) return;
      const [x, y] = placeIn(this.svg, event);
      let [best, least] = [-1, NEAR];
      for (let number = 0; number < this.set.clips.length; number++) {
        const [px, py] = this.at(number);
        const distance = Math.hypot(px - x, py - y);
        if (distance < least && this.visible(number)) [best, least] = [number, distance];
      }
      if (best >= 0 && (isPress || best !== this.number)) this.choose(best, sounds);
    }

    choose(number, sounds) {
      this.number = number;
      this.mark();
      const [said, where] = describe(this.set, number);
      const heard = sounds ? play(this.set, number) : true;
      const silent = heard ? "" : " (its sound is not on this page)";
      this.readout.replaceChildren(element("span", { class: "what" }, said || "no labels"), element("span", {}, where + silent));
      for (const other of planes) {
        if (other === this || other.drawn !== this.drawn) continue;
        other.number = number;
        other.mark();
      }
    }

    /** Put the ring around the chosen point. */
    mark() {
      this.ring.setAttribute("visibility", this.number < 0 ? "hidden" : "visible");
      if (this.number >= 0) this.ring.setAttribute("transform", `translate(${this.at(this.number)})`);
    }

    key(event) {
      if (!this.now) return;
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        if (this.number >= 0) this.choose(this.number, true);
      }
      if (!way) return;
      event.preventDefault();
      const [x, y] = this.number < 0 ? [500, 500] : this.at(this.number);
      let [best, least] = [-1, Infinity];
      for (let number = 0; number < this.set.clips.length; number++) {
        const [dx, dy] = [this.at(number)[0] - x, this.at(number)[1] - y];
        const [along, aside] = [dx * way[0] + dy * way[1], Math.abs(dx * way[1] + dy * way[0])];
        const cost = along + 2 * aside;
        const isAhead = this.number < 0 || along > 0;
        if (number !== this.number && isAhead && this.visible(number) && Math.abs(cost) < least) [best, least] = [number, Math.abs(cost)];
      }
      if (best >= 0) this.choose(best, follow.checked);
    }
  }

  const planes = [...document.querySelectorAll("figure[data-model]")].map((figure) => new Plane(figure));

  /** Offer the fields of the points that are shown. */
  function offerFields() {
    const set = planes.map((plane) => plane.set).find(Boolean);
    const names = Object.keys(set?.fields ?? {});
    names.sort((a, b) => (b in LABELS) - (a in LABELS));
    const before = field.value;
    field.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
    if (names.includes(before)) field.value = before;
    field.parentElement.hidden = names.length === 0;
    color();
  }

  function color() {
    only = null;
    for (const plane of planes) plane.color();
    const set = planes.map((plane) => plane.set).find(Boolean);
    const { names, counts, numbers } = set?.fields[field.value] ?? {};
    if (numbers) {
      const given = numbers.filter((each) => each !== null);
      legend.replaceChildren(`${Math.min(...given)}`, element("span", { class: "ramp" }), `${Math.max(...given)}`);
    } else {
      legend.replaceChildren(...(names ?? []).slice(0, MOST).map((name, value) => entry(name, value, counts[value])));
      const more = (names?.length ?? 0) - MOST;
      if (more > 0) legend.append(element("small", {}, `${more} more in gray`));
    }
    const left = set ? set.all - set.clips.length : 0;
    const silent = set ? set.clips.filter((clip) => !(clip in data.sounds)).length : 0;
    const told = [left ? `${set.clips.length} of ${set.all} points are shown.` : ""];
    if (silent) told.push(`The sounds of ${silent} of ${set.clips.length} points are not on this page.`);
    document.getElementById("shown").textContent = told.join(" ").trim();
  }

  function entry(name, value, count) {
    const [kind, shape] = styleOf(value);
    const swatch = element("svg", { viewBox: "-15 -15 30 30", "aria-hidden": "true" }, element("path", { d: shape, class: kind }));
    const button = element("button", { type: "button", "aria-pressed": "false" }, swatch, name, element("small", {}, String(count)));
    button.addEventListener("click", () => {
      only = only === value ? null : value;
      for (const each of legend.querySelectorAll("button")) each.setAttribute("aria-pressed", String(each === button && only !== null));
      for (const plane of planes) plane.color();
    });
    return button;
  }

  function redraw() {
    for (const plane of planes) plane.draw();
    offerFields();
  }
  field.addEventListener("change", color);
  for (const input of document.querySelectorAll("input[name=method], input[name=of]")) input.addEventListener("change", redraw);
  redraw();
}

if (document.getElementById("sound")) drawPlanes();
