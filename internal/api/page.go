package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/ergane-dev/ergane"
)

// A page token is base64url of the key after which the next page begins (8
// bytes of epoch ms, then the id) and 16 bytes of an HMAC over that and the
// list it belongs to, so that a token of one list is none of another.

const pageMAC = 16

// page bounds a list by MaxResults, for which def is the default, and NextToken.
// list names the list and everything that selects its members.
func (s *Service) page(maxResults *int, def int, token *string, list ...string) (ergane.Page, error) {
	// One more than asked for tells whether there is a next page.
	p := ergane.Page{Limit: def + 1}
	if maxResults != nil {
		p.Limit = *maxResults + 1
	}
	if token == nil {
		return p, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(*token)
	if err != nil || len(raw) < 8+pageMAC || !hmac.Equal(raw[len(raw)-pageMAC:], s.pageMAC(raw[:len(raw)-pageMAC], list)) {
		return p, ergane.Errorf(ergane.CodeInvalid, "The nextPageToken is malformed: %s", clipped(*token, 100))
	}
	p.After = ergane.Key{
		At: time.UnixMilli(int64(binary.BigEndian.Uint64(raw))),
		ID: string(raw[8 : len(raw)-pageMAC]),
	}
	return p, nil
}

// cut takes the page out of what was read with one more than asked for, and
// makes the token of the next one.
func cut[T any](s *Service, all []T, p ergane.Page, key func(T) ergane.Key, list ...string) ([]T, *string) {
	if len(all) < p.Limit {
		return all, nil
	}
	all = all[:p.Limit-1]
	last := key(all[len(all)-1])
	raw := binary.BigEndian.AppendUint64(nil, uint64(last.At.UnixMilli()))
	raw = append(raw, last.ID...)
	raw = append(raw, s.pageMAC(raw, list)...)
	return all, new(base64.RawURLEncoding.EncodeToString(raw))
}

// pageOf is a page of a list that is in memory, as long as a store's would be:
// what comes after the thing of the page's key.
func pageOf[T any](all []T, p ergane.Page, key func(T) ergane.Key) []T {
	if p.After.ID != "" {
		i := slices.IndexFunc(all, func(v T) bool { return key(v).ID == p.After.ID })
		if i < 0 {
			return nil // it is gone, and what comes after it cannot be told
		}
		all = all[i+1:]
	}
	return all[:min(len(all), p.Limit)]
}

func (s *Service) pageMAC(key []byte, list []string) []byte {
	mac := hmac.New(sha256.New, s.pageKey)
	for _, part := range list {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		mac.Write([]byte(part))
	}
	mac.Write(key)
	return mac.Sum(nil)[:pageMAC]
}

// clipped is s, or what is whole of its characters in the first n bytes.
func clipped(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
