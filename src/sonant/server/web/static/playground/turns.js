/** Who spoke when: a lane for each speaker, and the same as a list. */

const COLORS = 6; // .turn-0 to .turn-5 in playground.css

export class Turns {
  /** @param {HTMLElement} place @param {{seconds: number|null, player: {seek: (seconds: number) => void}}} slot */
  constructor(place, slot) {
    this.place = place;
    this.slot = slot;
    this.file = null;
    this.cursor = null;
  }

  clear() {
    this.file = null;
    this.cursor = null;
    this.place.replaceChildren();
  }

  /** @param {File} file - that they are of @param {{start: number, end: number, speaker: string}[]} segments */
  show(file, segments) {
    this.file = file;
    if (!segments.length) {
      const line = document.createElement("p");
      line.textContent = "Nobody was heard to speak.";
      this.place.replaceChildren(line);
      return;
    }
    const speakers = [...new Set(segments.map(({ speaker }) => speaker))];
    this.seconds = this.slot.seconds ?? Math.max(...segments.map(({ end }) => end));
    const lanes = document.createElement("div");
    lanes.className = "lanes";
    for (const [index, speaker] of speakers.entries()) {
      lanes.append(this._lane(speaker, index % COLORS, segments.filter((segment) => segment.speaker === speaker)));
    }
    this.cursor = document.createElement("div");
    this.cursor.className = "cursor cursor-across lanes-cursor";
    lanes.append(this.cursor);
    this.place.replaceChildren(lanes);
  }

  move(seconds) {
    if (this.cursor) this.cursor.style.left = `${(100 * seconds) / this.seconds}%`;
  }

  _lane(speaker, color, segments) {
    const lane = document.createElement("div");
    lane.className = "lane";
    const name = document.createElement("span");
    name.className = "lane-name";
    name.textContent = speaker;
    const track = document.createElement("ol");
    track.className = "lane-track";
    for (const { start, end } of segments) {
      const item = document.createElement("li");
      const turn = document.createElement("button");
      turn.type = "button";
      turn.className = `turn turn-${color}`;
      turn.style.left = `${(100 * start) / this.seconds}%`;
      turn.style.width = `${(100 * (end - start)) / this.seconds}%`;
      turn.title = `${speaker}, ${start.toFixed(1)} to ${end.toFixed(1)} s`;
      turn.setAttribute("aria-label", `Play from ${start.toFixed(1)} s: ${speaker}, until ${end.toFixed(1)} s`);
      turn.addEventListener("click", () => this.slot.player.seek(start));
      item.append(turn);
      track.append(item);
    }
    lane.append(name, track);
    return lane;
  }
}
