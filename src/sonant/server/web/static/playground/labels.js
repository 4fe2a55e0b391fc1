/** The labels of a recording, the most probable first, with a bar for each probability. */

const SHOWN = 6;

export class Labels {
  /** @param {HTMLElement} place @param {object} slot */
  constructor(place, slot) {
    this.place = place;
    this.slot = slot;
    this.file = null;
  }

  clear() {
    this.file = null;
    this.place.replaceChildren();
  }

  /**
   * @param {File} file - that they are of
   * @param {{label: string|null, scores: {label: string, score: number}[]}} answer - of a regression the outputs as
   *   they are, and no label; so too where several labels may apply at once
   */
  show(file, { label, scores }) {
    this.file = file;
    const list = document.createElement("ul");
    list.className = "scores";
    const areShares = scores.every(({ score }) => score >= 0 && score <= 1);
    for (const { label: name, score } of scores.slice(0, SHOWN)) {
      const row = document.createElement("li");
      row.className = name === label ? "score score-best" : "score";
      row.append(span("score-label", name), span("score-value", label === null ? score.toFixed(3) : percent(score)));
      if (areShares) {
        const bar = span("score-bar", "");
        bar.style.setProperty("--share", `${100 * score}%`);
        row.append(bar);
      }
      list.append(row);
    }
    this.place.replaceChildren(list);
    if (scores.length > SHOWN) {
      const more = document.createElement("p");
      more.className = "small muted";
      more.textContent = `And ${scores.length - SHOWN} labels more.`;
      this.place.append(more);
    }
  }

  move() {}
}

function span(name, text) {
  const made = document.createElement("span");
  made.className = name;
  made.textContent = text;
  return made;
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
