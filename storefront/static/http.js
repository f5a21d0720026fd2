// Asks the server of these pages. Errors carry the text that the server or the API gave.

const token = document.querySelector('meta[name="csrf-token"]').content;

export const get = (path) => ask(path, {});

export const post = (path, body) =>
  ask(path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-csrf-token": token },
    body: JSON.stringify(body),
  });

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("the server of this page does not answer: is `make shop` still running?");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail ?? answer.message ?? `status ${response.status}`);
  return answer;
}
