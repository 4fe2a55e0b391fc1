/** What was said, word by word; the word that is heard is marked. A word is a button that plays from there. */

export class Transcript {
  /** @param {HTMLElement} place @param {{player: {seek: (seconds: number) => void}}} slot */
  constructor(place, slot) {
    this.place = place;
    this.slot = slot;
    this.words = [];
    this.file = null;
  }

  clear() {
    this.file = null;
    this.words = [];
    this.place.replaceChildren();
  }

  /**
   * @param {File} file - that it is of
   * @param {{text: string, words?: {word: string, start: number, end: number}[]}} answer - verbose_json
   */
  show(file, answer) {
    this.file = file;
    this.words = (answer.words ?? []).map(({ word, start, end }) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "word";
      button.textContent = word;
      button.title = `${start.toFixed(2)} to ${end.toFixed(2)} s`;
      button.addEventListener("click", () => this.slot.player.seek(start));
      return { button, start, end };
    });
    const line = document.createElement("p");
    if (this.words.length) line.append(...this.words.flatMap(spaced(answer.text)));
    else line.textContent = answer.text || "No words were recognized.";
    this.place.replaceChildren(line);
  }

  move(seconds) {
    for (const { button, start, end } of this.words) {
      button.toggleAttribute("data-heard", seconds > 0 && seconds >= start && seconds < end);
    }
  }
}

/** Each word behind what the text has before it: a space, or nothing in scripts without spaces. */
function spaced(text) {
  let end = 0;
  return ({ button }) => {
    const start = Math.max(text.indexOf(button.textContent, end), end);
    const between = text.slice(end, start);
    end = start + button.textContent.length;
    return [between, button];
  };
}
