package main

import (
	"regexp"
	"strings"
)

// xmlCharacters is the model's class of the characters that XML may hold. Its
// \u escapes are Java's, and the pairs of them are surrogates.
const xmlCharacters = `[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]`

// predicates are the patterns that RE2 cannot express, with the functions of
// package athena that match them.
var predicates = map[string]string{
	xmlCharacters + `*`:                  "isXMLText",
	`(?!.*[/:\\])` + xmlCharacters + `+`: "isNotebookName",
}

// re2 translates a pattern from Java's syntax to RE2's. In Java a dot matches no
// line ending, and a vertical tab is a space, which \S does not match; RE2 differs
// in both.
func re2(pattern string) (string, error) {
	var out strings.Builder
	inClass := false
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case strings.HasPrefix(pattern[i:], `\S`) && !inClass:
			out.WriteString(`[^ \t\n\x0b\f\r]`)
			i++
			continue
		case c == '\\' && i+1 < len(pattern):
			out.WriteString(pattern[i : i+2])
			i++
			continue
		case c == '[':
			inClass = true
		case c == ']':
			inClass = false
		case c == '.' && !inClass:
			out.WriteString(`[^\n\r\x{85}\x{2028}\x{2029}]`)
			continue
		}
		out.WriteByte(pattern[i])
	}
	_, err := regexp.Compile(`^(?:` + out.String() + `)$`)
	return out.String(), err
}
