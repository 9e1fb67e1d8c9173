// What those are told who have the page read to them: whole sentences, never pieces of a stream.

const LONGEST = 1200;
let queue = [];
let timer = 0;

/** Says something politely. What comes within a moment is said together. */
export function announce(sentence) {
  queue.push(sentence.length > LONGEST ? `${sentence.slice(0, LONGEST)} … The rest is in the conversation.` : sentence);
  timer ||= setTimeout(() => {
    const place = document.getElementById('announcer');
    if (place) place.textContent = queue.join(' ');
    queue = [];
    timer = 0;
  }, 300);
}
