"use strict";
/** What the scripts of the page share. */

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes, ...content) {
  const svg = ["svg", "path"].includes(name);
  const made = svg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...content);
  return made;
}

/** The place of a pointer in the coordinates of an SVG. */
function placeIn(svg, event) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  return [at.x, at.y];
}

const nearest = (values, wanted) =>
  values.reduce((best, value, place) => (Math.abs(value - wanted) < Math.abs(values[best] - wanted) ? place : best), 0);
