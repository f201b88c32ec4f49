// Says how old the page is once it should have been made anew: whoever makes it may have stopped.
const made = document.querySelector("time");
const old = document.getElementById("old");
function look() {
  const minutes = Math.floor((Date.now() - Date.parse(made.dateTime)) / 60000);
  old.hidden = minutes <= Number(old.dataset.minutes);
  if (old.hidden) return;
  const hours = Math.floor(minutes / 60);
  old.querySelector("b").textContent = hours ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
  if (!document.title.startsWith("OLD: ")) document.title = `OLD: ${document.title}`;
}
look();
setInterval(look, 10000);
