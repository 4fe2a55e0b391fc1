/** What the calls of this page cost and took, newest first. */

export class Ledger {
  /** @param {HTMLTableSectionElement} rows @param {HTMLElement} total @param {string} currency */
  constructor(rows, total, currency) {
    Object.assign(this, { rows, total, currency, spent: 0 });
  }

  /** @param {{seconds: number, answer: {usage?: object}}} outcome - of one call */
  add(name, { seconds, answer }) {
    const usage = answer.usage ?? {};
    const cost = Number(usage.cost ?? 0);
    const line = document.createElement("tr");
    const audioSeconds = usage.audio_seconds ?? usage.seconds;
    const texts = [
      name,
      audioSeconds === undefined ? "" : `${audioSeconds.toFixed(1)} s`,
      usage.total_tokens === undefined ? "" : String(usage.total_tokens),
      `${seconds.toFixed(2)} s`,
      cost ? money(cost, this.currency) : "nothing",
    ];
    texts.forEach((text, i) => {
      const cell = document.createElement(i ? "td" : "th");
      if (i) cell.className = "number";
      else cell.scope = "row";
      cell.textContent = text;
      line.append(cell);
    });
    this.rows.prepend(line);
    this.spent += cost;
    const count = this.rows.children.length;
    const charged = this.spent ? `${money(this.spent, this.currency)} together` : "nothing charged";
    this.total.textContent = `${count} call${count === 1 ? "" : "s"}, ${charged}.`;
  }
}

/** "0.000021 USD": two digits that say something, and no exponent. */
export function money(amount, currency) {
  const value = Number(amount);
  if (!value) return `0 ${currency}`;
  const digits = Math.max(2, 1 - Math.floor(Math.log10(Math.abs(value))));
  return `${value.toFixed(Math.min(12, digits))} ${currency}`;
}
