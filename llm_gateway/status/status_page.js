// Says how old the page is once it should have been made anew: whoever makes it may have stopped.
const made = document.querySelector("time");
const old = document.getElementById("old");
function look() {
  const minutes = Math.floor((Date.now() - Date.parse(made.dateTime)) / 60000);
  const { long, short, title } = old.dataset;
  old.hidden = minutes <= Number(old.dataset.minutes);
  if (old.hidden) return;
  const hours = Math.floor(minutes / 60);
  old.querySelector("b").textContent = (hours ? long : short).replace("H", hours).replace("M", minutes % 60);
  if (!document.title.startsWith(title)) document.title = title + document.title;
}
look();
setInterval(look, 10000);
