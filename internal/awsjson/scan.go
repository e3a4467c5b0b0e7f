package awsjson

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A scanner reads one JSON text that wellFormed has accepted, so its methods need
// not look for syntax errors. Each method starts at the next value and ends
// behind it.
type scanner struct {
	text []byte
	at   int
}

// wellFormed reports whether text is one JSON value in UTF-8, nested no deeper
// than encoding/json allows (10,000).
func wellFormed(text []byte) bool { return utf8.Valid(text) && json.Valid(text) }

// peek returns the first byte of the next value or delimiter.
func (s *scanner) peek() byte {
	for {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
}

// string returns the next value, which is a string. ok is false if it contains
// half of a surrogate pair, which a Go string cannot represent.
func (s *scanner) string() (_ string, ok bool) {
	s.peek()
	start := s.at + 1
	s.skipString()
	raw := s.text[start : s.at-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw), true
	}
	return unescape(raw)
}

// number returns the text of the next value, which is a number.
func (s *scanner) number() string {
	s.peek()
	start := s.at
	s.skipScalar()
	return string(s.text[start:s.at])
}

// items calls do at each element of the next value, which is a list. do has to
// consume the element. The first error ends the walk.
func (s *scanner) items(do func() error) error {
	return s.each('[', ']', do)
}

// members calls do with the name of each member of the next value, which is an
// object, standing at the member's value. ok is as for string.
func (s *scanner) members(do func(name string, ok bool) error) error {
	return s.each('{', '}', func() error {
		name, ok := s.string()
		s.peek()
		s.at++ // the colon
		return do(name, ok)
	})
}

func (s *scanner) each(open, end byte, do func() error) error {
	s.peek()
	s.at++
	for {
		switch s.peek() {
		case end:
			s.at++
			return nil
		case ',':
			s.at++
		}
		if err := do(); err != nil {
			return err
		}
	}
}

// skip passes over the next value, whatever it is.
func (s *scanner) skip() {
	for depth := 0; ; {
		switch s.peek() {
		case '{', '[':
			depth++
			s.at++
		case '}', ']':
			depth--
			s.at++
		case ',', ':':
			s.at++
			continue
		case '"':
			s.skipString()
		default:
			s.skipScalar()
		}
		if depth == 0 {
			return
		}
	}
}

func (s *scanner) skipString() {
	for s.at++; ; s.at++ {
		switch s.text[s.at] {
		case '\\':
			s.at++
		case '"':
			s.at++
			return
		}
	}
}

func (s *scanner) skipScalar() {
	for ; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case ',', ':', '}', ']', ' ', '\t', '\r', '\n':
			return
		}
	}
}

func unescape(raw []byte) (string, bool) {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			continue
		}
		i++
		switch raw[i] {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hex4(raw[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				if len(raw) < i+7 || raw[i+1] != '\\' || raw[i+2] != 'u' {
					return "", false
				}
				if r = utf16.DecodeRune(r, hex4(raw[i+3:])); r == utf8.RuneError {
					return "", false
				}
				i += 6
			}
			out = utf8.AppendRune(out, r)
		default: // a quote, a slash or a backslash
			out = append(out, raw[i])
		}
	}
	return string(out), true
}

func hex4(b []byte) rune {
	n, _ := strconv.ParseUint(string(b[:4]), 16, 16)
	return rune(n)
}
