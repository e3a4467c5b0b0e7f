package athena

import "strings"

// isXMLText does the work of the patterns made of Java's class
// [ -\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]: the characters of XML
// without line endings, any number of them.
func isXMLText(s string) bool {
	for _, r := range s {
		switch {
		case r == '\t', ' ' <= r && r <= '\uD7FF', '\uE000' <= r && r <= '\uFFFD', r >= 0x10000:
		default:
			return false
		}
	}
	return true
}

// isNotebookName does the work of NotebookName's pattern: at least one
// character of that class, none of which is a slash, a colon or a backslash.
func isNotebookName(s string) bool {
	return s != "" && isXMLText(s) && !strings.ContainsAny(s, `/:\`)
}
