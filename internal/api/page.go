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
// list, so that a token is only valid for the list that it was made for.

const pageMAC = 16

// page is the part of a list that MaxResults (or def) and NextToken ask for. list
// names the list and all that selects its items.
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

// cut drops the one item more that page asked for, and makes the token of the
// next page if there was one.
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

// pageOf returns the page of a list that is in memory, as a store would: the
// items after the one with the page's key.
func pageOf[T any](all []T, p ergane.Page, key func(T) ergane.Key) []T {
	if p.After.ID != "" {
		i := slices.IndexFunc(all, func(v T) bool { return key(v).ID == p.After.ID })
		if i < 0 {
			return nil // that item is gone, so its place in the list is unknown
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

// clipped is s, shortened to at most n bytes without splitting a character.
func clipped(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
