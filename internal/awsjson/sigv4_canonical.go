package awsjson

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A parameter of the query string, decoded.
type parameter struct{ name, value string }

// parseQuery decodes a query string as net/url does, so that what is signed is
// what a handler reads. It refuses what net/url would silently drop.
func parseQuery(raw string) ([]parameter, error) {
	var out []parameter
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, errName := url.QueryUnescape(name)
		value, errValue := url.QueryUnescape(value)
		if errName != nil || errValue != nil || strings.Contains(part, ";") {
			return nil, &Error{Type: "MalformedQueryString", Status: http.StatusBadRequest,
				Message: "The query string is not properly encoded."}
		}
		out = append(out, parameter{name, value})
	}
	return out, nil
}

// canonicalRequest is the text that the client has hashed and signed; payload is
// the hash of its body.
func canonicalRequest(r *http.Request, c *claim, payload string) []byte {
	out := make([]byte, 0, 1024)
	out = append(append(out, r.Method...), '\n')
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	// The path is sent encoded once; every service except S3 signs it encoded twice.
	out = append(appendEncoded(out, path, true), '\n')
	out = append(appendQuery(out, c.query), '\n')
	for _, name := range c.signedHeaders {
		values, _ := headerValues(r, name)
		out = append(append(out, name...), ':')
		for i, value := range values {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendTrimmed(out, value)
		}
		out = append(out, '\n')
	}
	out = append(out, '\n')
	out = append(append(out, strings.Join(c.signedHeaders, ";")...), '\n')
	return append(out, payload...)
}

// appendQuery appends the parameters, encoded and sorted by name and value,
// without the signature itself.
func appendQuery(out []byte, query []parameter) []byte {
	encoded := make([]parameter, 0, len(query))
	for _, p := range query {
		if p.name != "X-Amz-Signature" {
			encoded = append(encoded, parameter{
				string(appendEncoded(nil, p.name, false)),
				string(appendEncoded(nil, p.value, false)),
			})
		}
	}
	slices.SortFunc(encoded, func(a, b parameter) int {
		if n := strings.Compare(a.name, b.name); n != 0 {
			return n
		}
		return strings.Compare(a.value, b.value)
	})
	for i, p := range encoded {
		if i > 0 {
			out = append(out, '&')
		}
		out = append(append(append(out, p.name...), '='), p.value...)
	}
	return out
}

// appendEncoded percent-encodes all but RFC 3986's unreserved characters, and
// the slash if it is to be kept.
func appendEncoded(out []byte, s string, keepSlash bool) []byte {
	const upperhex = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '_', c == '.', c == '~', c == '/' && keepSlash:
			out = append(out, c)
		default:
			out = append(out, '%', upperhex[c>>4], upperhex[c&15])
		}
	}
	return out
}

// appendTrimmed appends a header's value without the spaces around it, and with
// one space instead of several in a row.
func appendTrimmed(out []byte, value string) []byte {
	value = strings.Trim(value, " \t")
	for i := range len(value) {
		if value[i] == ' ' && i > 0 && value[i-1] == ' ' {
			continue
		}
		out = append(out, value[i])
	}
	return out
}
