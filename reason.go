package ergane

import "unicode/utf8"

// MaxReason is the longest StateChangeReason, in characters, of the service model.
const MaxReason = 1024

// Shorten cuts a text to at most so many characters; "…" stands for what was cut off.
func Shorten(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	n := 0
	for i := range text {
		if n++; n == most {
			return text[:i] + "…"
		}
	}
	return text
}
