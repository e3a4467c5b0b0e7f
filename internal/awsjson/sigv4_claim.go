package awsjson

import (
	"encoding/hex"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxSignedHeaders bounds the work that one request can cause.
const maxSignedHeaders = 100

// A claim is what a request says about its own signature.
type claim struct {
	presigned                                      bool
	accessKeyID, date, region, service, terminator string
	stamp                                          string // of the signature, in timeLayout
	time                                           time.Time
	expires                                        time.Duration // of a presigned request
	signedHeaders                                  []string      // lower case, ascending
	signature                                      []byte
	query                                          []parameter // in the order sent
	principal                                      Principal   // whom the key speaks for
}

func (c *claim) scope() string {
	return c.date + "/" + c.region + "/" + c.service + "/" + c.terminator
}

// caller is the caller of the request, once the claim has been verified.
func (c *claim) caller(r *http.Request, requestID string) Caller {
	return Caller{AccessKeyID: c.accessKeyID, Principal: c.principal, Region: c.region, RequestID: requestID, InvocationID: invocationID(r.Header)}
}

// single are the headers that would be ambiguous if they were sent twice.
var single = []string{
	"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256",
	"X-Amz-Target", "Content-Type", "Content-Encoding",
}

func parseClaim(r *http.Request) (*claim, error) {
	for _, name := range single {
		if len(r.Header.Values(name)) > 1 {
			return nil, incompleteSignature("Header '" + name + "' may be sent only once.")
		}
	}
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	c := &claim{query: query}
	c.presigned = slices.ContainsFunc(query, func(p parameter) bool { return p.name == "X-Amz-Algorithm" })
	authorization := r.Header.Get("Authorization")
	switch {
	case c.presigned && authorization != "":
		return nil, invalidSignature("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")
	case c.presigned:
		err = c.fromQuery()
	default:
		err = c.fromHeader(authorization, r.Header.Get("X-Amz-Date"))
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (c *claim) fromHeader(authorization, date string) error {
	words := strings.FieldsFunc(authorization, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	if len(words) == 0 || !strings.HasPrefix(words[0], "AWS4-") {
		return &Error{Type: "MissingAuthenticationTokenException", Status: http.StatusBadRequest,
			Message: "Request is missing Authentication Token"}
	}
	given := map[string]string{}
	for _, word := range words[1:] {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			return incompleteSignature("Authorization header has a part that is not a valid key=value pair (missing equal-sign).")
		}
		if _, twice := given[name]; twice {
			return incompleteSignature("Authorization header has a parameter twice.")
		}
		given[name] = value
	}
	var missing []string
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if given[name] == "" {
			missing = append(missing, "Authorization header requires '"+name+"' parameter.")
		}
	}
	if date == "" {
		missing = append(missing, "Authorization header requires existence of a 'X-Amz-Date' header.")
	}
	if missing != nil {
		return incompleteSignature(strings.Join(missing, " "))
	}
	return c.set(words[0], given["Credential"], date, given["SignedHeaders"], given["Signature"])
}

func (c *claim) fromQuery() error {
	given := map[string]string{}
	for _, p := range c.query {
		if !strings.HasPrefix(p.name, "X-Amz-") {
			continue
		}
		if _, twice := given[p.name]; twice {
			return incompleteSignature("AWS query-string parameters may be given only once.")
		}
		given[p.name] = p.value
	}
	var missing []string
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date", "X-Amz-Expires"} {
		if given[name] == "" {
			missing = append(missing, "AWS query-string parameters must include '"+name+"'.")
		}
	}
	if missing != nil {
		return incompleteSignature(strings.Join(missing, " ") + " Re-examine the query-string parameters.")
	}
	seconds, err := strconv.ParseUint(given["X-Amz-Expires"], 10, 32)
	c.expires = time.Duration(seconds) * time.Second
	if err != nil || c.expires <= 0 || c.expires > maxExpires {
		return incompleteSignature("X-Amz-Expires must be a number of seconds from 1 to 604800 (7 days).")
	}
	return c.set(given["X-Amz-Algorithm"], given["X-Amz-Credential"], given["X-Amz-Date"],
		given["X-Amz-SignedHeaders"], given["X-Amz-Signature"])
}

func (c *claim) set(alg, credential, date, signedHeaders, signature string) (err error) {
	if alg != algorithm {
		return incompleteSignature("Unsupported AWS 'algorithm' (only " + algorithm + " for now).")
	}
	if c.time, err = time.Parse(timeLayout, date); err != nil || len(date) != len(timeLayout) {
		return incompleteSignature("Date must be in ISO-8601 'basic format', such as 20060102T150405Z.")
	}
	c.stamp = date
	parts := strings.Split(credential, "/")
	if len(parts) != 5 {
		return incompleteSignature("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.")
	}
	c.accessKeyID, c.date, c.region, c.service, c.terminator = parts[0], parts[1], parts[2], parts[3], parts[4]
	if !wordOf(c.accessKeyID, 128, "_") {
		return incompleteSignature("Credential must start with an access key id.")
	}
	if strings.Count(signedHeaders, ";") >= maxSignedHeaders {
		return incompleteSignature("Too many headers are signed.")
	}
	c.signedHeaders = strings.Split(signedHeaders, ";")
	for i, name := range c.signedHeaders {
		if name == "" || strings.ToLower(name) != name || i > 0 && name <= c.signedHeaders[i-1] {
			return incompleteSignature("SignedHeaders must be distinct lower-case names in ascending order.")
		}
	}
	if c.signature, err = hex.DecodeString(signature); err != nil || len(c.signature) != 32 {
		return invalidSignature("The signature is not 64 hexadecimal digits.")
	}
	return nil
}

// checkSignedHeaders checks that the host and every x-amz-* header of the request
// are signed, and that every signed header was sent.
func checkSignedHeaders(r *http.Request, c *claim) error {
	signed := func(name string) bool {
		_, found := slices.BinarySearch(c.signedHeaders, name)
		return found
	}
	if !signed("host") {
		return invalidSignature("'Host' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && !signed(lower) {
			return invalidSignature("'" + name + "' must be a 'SignedHeader' in the AWS Authorization.")
		}
	}
	for _, name := range c.signedHeaders {
		if _, sent := headerValues(r, name); !sent {
			return invalidSignature("A header that is named in SignedHeaders was not sent.")
		}
	}
	return nil
}

// headerValues returns a header's values by its lower-case name, with those
// that net/http keeps elsewhere.
func headerValues(r *http.Request, name string) ([]string, bool) {
	switch name {
	case "host":
		return []string{r.Host}, true
	case "content-length":
		return []string{strconv.FormatInt(r.ContentLength, 10)}, r.ContentLength >= 0 // chunks have none
	}
	values, ok := r.Header[textproto.CanonicalMIMEHeaderKey(name)]
	return values, ok
}

func incompleteSignature(message string) *Error {
	return &Error{Type: "IncompleteSignatureException", Status: http.StatusBadRequest, Message: message}
}
