const USER_INFO = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#@]*(?::[^\s/?#]*)?@/gi;
const NAMED =
  /\b(pass(?:word|wd|phrase)?|secret|api_secret|token|pgpassword)(\s*[=:]\s*)("[^"]*"|'(?:[^'\\]|\\.)*'|[^\s&,;]+)/gi;

/**
 * A text that may be shown: what stands between `//` and `@` in a URL, and the value after a word such as `password=`, is
 * replaced. For texts of drivers and servers, which repeat what they were given.
 */
export function withoutCredentials(text: string): string {
  return text.replace(USER_INFO, '$1***@').replace(NAMED, '$1$2***');
}
