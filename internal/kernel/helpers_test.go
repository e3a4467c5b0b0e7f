package kernel_test

import (
	"encoding/json"
	"strconv"
	"testing"
)

func number(t *testing.T, doc []byte, field string) int64 {
	t.Helper()
	m := map[string]json.RawMessage{}
	if err := json.Unmarshal(doc, &m); err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(string(m[field]), 10, 64)
	if err != nil {
		t.Fatalf("%s in %s: %v", field, doc, err)
	}
	return n
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
