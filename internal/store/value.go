package store

import (
	"bytes"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"
)

// millis is a time as it is stored: epoch milliseconds, NULL for the zero time.
type millis struct{ *time.Time }

func (m millis) Value() (driver.Value, error) {
	if m.IsZero() {
		return nil, nil
	}
	return m.UnixMilli(), nil
}

func (m millis) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*m.Time = time.Time{}
	case int64:
		*m.Time = time.UnixMilli(v).UTC()
	default:
		return fmt.Errorf("a time was stored as %T", v)
	}
	return nil
}

// at is the millis of a time.
func at(t time.Time) millis { return millis{&t} }

// interval is a duration as it is stored: milliseconds.
type interval struct{ *time.Duration }

func (i interval) Value() (driver.Value, error) { return i.Milliseconds(), nil }

func (i interval) Scan(v any) error {
	ms, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a duration was stored as %T", v)
	}
	*i.Duration = time.Duration(ms) * time.Millisecond
	return nil
}

// document is a structure as it is stored: JSON text. v is a pointer to it.
type document struct{ v any }

func (d document) Value() (driver.Value, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // raw members are stored as they were given
	if err := e.Encode(d.v); err != nil {
		return nil, err
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

func (d document) Scan(v any) error {
	text, err := text(v)
	if err != nil || text == nil {
		return err
	}
	return json.Unmarshal(text, d.v)
}

// raw is JSON that is kept as it is: NULL for none.
type raw struct{ *json.RawMessage }

func (r raw) Value() (driver.Value, error) {
	if *r.RawMessage == nil {
		return nil, nil
	}
	return string(*r.RawMessage), nil
}

func (r raw) Scan(v any) error {
	text, err := text(v)
	*r.RawMessage = text
	return err
}

// text is the bytes of a TEXT value, which drivers return as string or []byte, or nil for NULL.
func text(v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return []byte(v), nil
	case []byte:
		return bytes.Clone(v), nil
	}
	return nil, fmt.Errorf("a text was stored as %T", v)
}
