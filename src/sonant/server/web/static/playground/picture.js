/**
 * What all pictures share: a canvas as sharp as the screen with axes at its edges, and cursors that move over it without
 * drawing it again. A picture is `<div class="picture"><canvas role="img"></canvas></div>`.
 */

import { color } from "./colors.js";

const LEFT = 54;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 34;

/** Steps between ticks that people can read, in seconds or hertz. */
const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200];

/** @returns {number[]} places of about `count` ticks from 0 to `end` */
export function ticks(end, count) {
  const step = STEPS.find((candidate) => end / candidate <= count) ?? STEPS.at(-1);
  return Array.from({ length: Math.floor(end / step + 1e-6) + 1 }, (_, i) => i * step);
}

/** "0.25", "12", "2:05": seconds as an axis has them. */
export function clock(seconds) {
  if (seconds < 60) return String(Number(seconds.toFixed(2)));
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

export class Picture {
  /** @param {HTMLElement} frame - the `.picture` around a canvas */
  constructor(frame) {
    this.frame = frame;
    this.canvas = frame.querySelector("canvas");
    this.context = this.canvas.getContext("2d");
    this.plot = { left: LEFT, top: TOP, width: 0, height: 0 };
    this.cursors = {};
  }

  /** CSS pixels between the edges of a plot. */
  get plotWidth() {
    return this.frame.clientWidth - LEFT - RIGHT;
  }

  /** Make ready to draw: the canvas as wide as its frame, with a plot of this height in CSS pixels, and empty. */
  begin(plotHeight) {
    const width = this.frame.clientWidth;
    const height = plotHeight + TOP + BOTTOM;
    const density = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * density);
    this.canvas.height = Math.round(height * density);
    this.canvas.style.height = `${height}px`;
    this.context.setTransform(density, 0, 0, density, 0, 0);
    this.context.clearRect(0, 0, width, height);
    this.plot = { left: LEFT, top: TOP, width: this.plotWidth, height: plotHeight };
    this.context.font = "11px system-ui, sans-serif";
    this.context.fillStyle = color(this.frame, "--ink-soft");
    this.context.strokeStyle = color(this.frame, "--line-strong");
    this.context.lineWidth = 1;
  }

  /** Pixels (rows, columns) of an image, stretched over the plot. */
  image(pixels, columns, rows) {
    const sheet = new OffscreenCanvas(columns, rows);
    sheet.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), columns, rows), 0, 0);
    const { left, top, width, height } = this.plot;
    this.context.imageSmoothingEnabled = columns > width || rows > height;
    this.context.drawImage(sheet, left, top, width, height);
  }

  /** Seconds along the bottom edge. */
  timeAxis(seconds, name = "seconds") {
    const { left, top, width, height } = this.plot;
    this.context.textAlign = "center";
    this.context.textBaseline = "top";
    for (const tick of ticks(seconds, Math.max(2, width / 60))) {
      const x = left + (tick / seconds) * width;
      this._tick(x, top + height, x, top + height + 4);
      this.context.fillText(clock(tick), x, top + height + 6);
    }
    this.context.fillText(name, left + width / 2, top + height + 20);
    this.context.strokeRect(left, top, width, height);
  }

  /**
   * Values along the left edge.
   * @param {{at: number, label: string}[]} marks - `at` from 0 (bottom) to 1 (top)
   */
  valueAxis(marks, name) {
    const { left, top, height } = this.plot;
    this.context.textAlign = "right";
    this.context.textBaseline = "middle";
    for (const { at, label } of marks) {
      const y = top + (1 - at) * height;
      this._tick(left - 4, y, left, y);
      this.context.fillText(label, left - 6, Math.max(top + 5, Math.min(top + height - 4, y)));
    }
    this.context.save();
    this.context.translate(10, top + height / 2);
    this.context.rotate(-Math.PI / 2);
    this.context.textAlign = "center";
    this.context.fillText(name, 0, 0);
    this.context.restore();
  }

  /**
   * Put a cursor where a moment lies.
   * @param {"across"|"down"} direction - which way time runs
   * @param {number} share - of the recording that has passed, 0 to 1
   */
  moveCursor(direction, share) {
    const cursor = (this.cursors[direction] ??= this._cursor(direction));
    const { left, top, width, height } = this.plot;
    if (direction === "across") {
      cursor.style.height = `${height}px`;
      cursor.style.transform = `translate(${left + share * width}px, ${top}px)`;
    } else {
      cursor.style.width = `${width}px`;
      cursor.style.transform = `translate(${left}px, ${top + share * height}px)`;
    }
  }

  /** Call `moved` with the shares (across, down) of a place that is clicked. */
  onPick(moved) {
    this.canvas.addEventListener("click", (event) => {
      const { left, top, width, height } = this.plot;
      const across = (event.offsetX - left) / width;
      const down = (event.offsetY - top) / height;
      if (across >= 0 && across <= 1 && down >= 0 && down <= 1) moved(across, down);
    });
  }

  /** What the picture shows, for those who do not see it. */
  describe(text) {
    this.canvas.setAttribute("aria-label", text);
  }

  _cursor(direction) {
    const line = document.createElement("div");
    line.className = `cursor cursor-${direction}`;
    this.frame.append(line);
    return line;
  }

  _tick(fromX, fromY, toX, toY) {
    this.context.beginPath();
    this.context.moveTo(fromX, fromY);
    this.context.lineTo(toX, toY);
    this.context.stroke();
  }
}
