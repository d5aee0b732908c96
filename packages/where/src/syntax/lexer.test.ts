import { describe, expect, test } from 'vitest';
import { ClauseRefusal } from '../errors.ts';
import { Lexer, type Token } from './lexer.ts';

function tokens(source: string): string[] {
  const lexer = new Lexer(source);
  const found: string[] = [];
  for (let token: Token = lexer.next(); token.kind !== 'end'; token = lexer.next()) {
    found.push(`${token.kind} ${token.text}`);
  }
  return found;
}

function problem(source: string): string {
  try {
    return `accepted as ${tokens(source).join(', ')}`;
  } catch (error) {
    if (!(error instanceof ClauseRefusal)) throw error;
    return `${error.at}: ${error.message}`;
  }
}

describe('Lexer', () => {
  test.each([
    // Names: ASCII letters fold, others do not, and 63 bytes remain.
    ['Abc _x1$ ÄÖ', ['word abc', 'word _x1$', 'word ÄÖ']],
    ['"A""b" "select"', ['quoted A"b', 'quoted select']],
    [`${'é'.repeat(32)} "${'a'.repeat(64)}"`, [`word ${'é'.repeat(31)}`, `quoted ${'a'.repeat(63)}`]],
    ['U&"d\\0061t" U&"!0061\\" UESCAPE \'!\'', ['quoted dat', 'quoted a\\']],
    ['a\u00a0b', ['word a\u00a0b']],
    // Strings.
    [`'it''s' 'a\\'`, [`string it's`, 'string a\\']],
    [`'a' 'b'`, ['string a', 'string b']],
    [`'a' -- note\n \t'b'`, ['string ab']],
    [`E'a\\n\\t\\\\\\'\\101\\x41\\u0041\\U0001F600\\q'`, [`string a\n\t\\'AAA😀q`]],
    [`E'\\xc3\\xa9' e'\\303\\251x'`, ['string é', 'string éx']],
    [`E'\\uD83D\\uDE00'`, ['string 😀']],
    [`E'a''b' E'a'\n'\\nb'`, [`string a'b`, 'string a\nb']],
    [`U&'\\0061\\+01F600\\\\' u&'d!0061!!' /* x */ uescape '!'`, ['string a😀\\', 'string da!']],
    [`$$it's$$ $a$ $b$ $ $a$ $é1$x$é1$`, [`string it's`, 'string  $b$ $ ', 'string x']],
    [`B'101' x'1F''2'\n'3'`, ['bits 101', 'bits 1F', 'string 23']],
    [`N'a' n`, ['word nchar', 'string a', 'word n']],
    // Numbers.
    [
      '1 007 .5 5. 1.5E-3 1e3 2147483648',
      'integer 1,integer 007,decimal .5,decimal 5.,decimal 1.5E-3,decimal 1e3,integer 2147483648'.split(','),
    ],
    [
      '0x1F 0o17 0B11 1_000 0x_ff 1_0.0_1e1_0',
      'integer 31,integer 15,integer 3,integer 1000,integer 255,decimal 10.01e10'.split(','),
    ],
    ['1..2', ['integer 1', 'punct ..', 'integer 2']],
    ['$1 $65535', ['param 1', 'param 65535']],
    // Operators are cut before comments, and before a sign at their end.
    ['a<-1', ['word a', 'op <', 'op -', 'integer 1']],
    ['a%-1', ['word a', 'op %-', 'integer 1']],
    ['ia@>-1', ['word ia', 'op @>-', 'integer 1']],
    ['*+-*+- <>+-', ['op *+-*', 'op +', 'op -', 'op <>', 'op +', 'op -']],
    ['+@+ ->> !=', ['op +@+', 'op ->>', 'op <>']],
    ['a+--b\n1', ['word a', 'op +', 'integer 1']],
    ['a*/*b*/1', ['word a', 'op *', 'integer 1']],
    ['a=>b:=c::d:e', ['word a', 'punct =>', 'word b', 'punct :=', 'word c', 'punct ::', 'word d', 'punct :', 'word e']],
    // White space and comments.
    ['a/* /* */ */b -- c', ['word a', 'word b']],
    ['\t\n\r\f\va', ['word a']],
    ['( ) [ ] , . ;', ['punct (', 'punct )', 'punct [', 'punct ]', 'punct ,', 'punct .', 'punct ;']],
  ])('splits %s', (source, expected) => {
    expect(tokens(source)).toEqual(expected);
  });

  test.each([
    [`a = 'abc`, `4: unterminated quoted string at or near "'abc"`],
    [`E'a\\'`, `0: unterminated quoted string at or near "E'a\\'"`],
    ['"a', '0: unterminated quoted identifier at or near ""a"'],
    ['a ""', '2: zero-length delimited identifier at or near """"'],
    ['$a$ x', '0: unterminated dollar-quoted string at or near "$a$ x"'],
    ['1 /* /* */', '2: unterminated /* comment at or near "/* /* */"'],
    ['1x', '0: trailing junk after numeric literal at or near "1x"'],
    ['1e+', '0: trailing junk after numeric literal at or near "1e+"'],
    ['1__0', '0: trailing junk after numeric literal at or near "1__0"'],
    ['0x', '0: trailing junk after numeric literal at or near "0x"'],
    ['0b12', '0: trailing junk after numeric literal at or near "0b12"'],
    ['$1a', '0: trailing junk after parameter at or near "$1a"'],
    ['a $', '2: syntax error at or near "$"'],
    ['a {', '2: syntax error at or near "{"'],
    ['a 😀\\', '4: syntax error at or near "\\"'],
    [`E'\\u00'`, `0: invalid Unicode escape at or near "E'\\u00'"`],
    [`E'\\uD83D'`, `0: invalid Unicode surrogate pair at or near "E'\\uD83D'"`],
    [`E'\\uD83D'\n'\\uDE00'`, `0: invalid Unicode surrogate pair at or near "E'\\uD83D'\n'\\uDE00'"`],
    [`E'\\xff'`, `0: invalid byte sequence at or near "E'\\xff'"`],
    [`E'\\xc3'`, `0: invalid byte sequence at or near "E'\\xc3'"`],
    [`E'\\000'`, `0: invalid byte sequence at or near "E'\\000'"`],
    [`U&'\\00'`, `0: invalid Unicode escape at or near "U&'\\00'"`],
    [`U&'a' UESCAPE '+'`, `14: invalid Unicode escape character at or near "'+'"`],
    [`U&'a' UESCAPE x`, '14: UESCAPE must be followed by a simple string literal at or near "x"'],
    [`U&'a' UESCAPE U&'!'`, '14: UESCAPE must be followed by a simple string literal at or near "U"'],
    [`${'='.repeat(64)}`, `0: operator too long at or near "${'='.repeat(64)}"`],
    [`0x${'f'.repeat(1001)}`, '0: number literal is too long'],
  ])('refuses %s', (source, expected) => {
    expect(problem(source)).toBe(expected);
  });

  test('reads only as far as it is asked to', () => {
    const lexer = new Lexer(`a 'b`);
    expect(lexer.next().text).toBe('a');
    expect(() => lexer.next()).toThrow('unterminated quoted string');
  });
});
