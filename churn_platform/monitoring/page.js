"use strict";
const place = document.getElementById("report");
const library = document.createElement("script");
library.src = "$library";
library.onerror = () => { place.textContent = "This page is drawn by the file $library, which belongs beside it."; };
library.onload = async () => {
  const packed = Uint8Array.from(atob(document.getElementById("data").textContent), (letter) => letter.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const [dashboard, graphs] = await new Response(unpacked).json();
  drawDashboard(dashboard, new Map(Object.entries(graphs)), "report");
};
document.body.append(library);
