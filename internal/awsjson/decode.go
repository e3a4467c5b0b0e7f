package awsjson

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// Decode reads body as an input of the shape and returns the value that shape.New
// makes. Names are case-sensitive, unknown members are ignored, of several equal
// names the last one counts, null means absent (also in lists and maps), and
// integers drop a fraction.
//
// It fails with an *Error (SerializationException) if the body does not have the
// shape's JSON types, and otherwise with a *ValidationError if it violates
// constraints. The texts are those measured on Athena.
func Decode(shape *Shape, body []byte) (any, error) {
	if !wellFormed(body) {
		return nil, serializationError("")
	}
	d := decoder{scanner{text: body}}
	switch d.peek() {
	case '{':
	case '[':
		return nil, serializationError(unexpectedList)
	default:
		return nil, serializationError("")
	}
	in := shape.New()
	v := reflect.ValueOf(in).Elem()
	if err := d.structure(shape, v); err != nil {
		return nil, err
	}
	if err := validate(shape, v); err != nil {
		return nil, err
	}
	return in, nil
}

const (
	unexpectedList      = "Start of list found where not expected"
	unexpectedStructure = "Start of structure or map found where not expected."
)

func serializationError(message string) *Error {
	return &Error{Type: "SerializationException", Status: 400, Message: message}
}

type decoder struct{ scanner }

// value sets v, which is a zero value, to the next value. set is false if that
// is null.
func (d *decoder) value(shape *Shape, v reflect.Value) (set bool, err error) {
	first := d.peek()
	if first == 'n' {
		d.skip()
		return false, nil
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch {
	case shape.Kind == Structure && first == '{':
		err = d.structure(shape, v)
	case shape.Kind == List && first == '[':
		err = d.list(shape, v)
	case shape.Kind == Map && first == '{':
		err = d.mapping(shape, v)
	case shape.Kind == String && first == '"':
		var s string
		s, err = d.text()
		v.SetString(s)
	case (shape.Kind == Integer || shape.Kind == Long) && isNumber(first):
		v.SetInt(truncate(d.number(), shape.Kind))
	case shape.Kind == Boolean && (first == 't' || first == 'f'):
		d.skip()
		v.SetBool(first == 't')
	case shape.Kind == Boolean && first == '"':
		var b bool
		b, err = d.wordBool()
		v.SetBool(b)
	default:
		err = mismatch(shape.Kind, first)
	}
	return true, err
}

func (d *decoder) structure(shape *Shape, v reflect.Value) error {
	return d.members(func(name string, ok bool) error {
		if !ok {
			return serializationError("")
		}
		for i := range shape.Members {
			if m := &shape.Members[i]; m.Name == name {
				field := v.Field(i)
				field.SetZero()
				_, err := d.value(m.Shape, field)
				return err
			}
		}
		d.skip()
		return nil
	})
}

func (d *decoder) list(shape *Shape, v reflect.Value) error {
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	element := v.Type().Elem()
	return d.items(func() error {
		e := reflect.New(element).Elem()
		set, err := d.value(shape.Element, e)
		if set && err == nil {
			v.Set(reflect.Append(v, e))
		}
		return err
	})
}

func (d *decoder) mapping(shape *Shape, v reflect.Value) error {
	v.Set(reflect.MakeMap(v.Type()))
	element := v.Type().Elem()
	return d.members(func(name string, ok bool) error {
		if !ok {
			return serializationError("")
		}
		key := reflect.New(v.Type().Key()).Elem()
		key.SetString(name)
		e := reflect.New(element).Elem()
		set, err := d.value(shape.Element, e)
		if err != nil {
			return err
		}
		if !set {
			e = reflect.Value{} // removes an earlier entry with this name
		}
		v.SetMapIndex(key, e)
		return nil
	})
}

func (d *decoder) text() (string, error) {
	s, ok := d.string()
	if !ok {
		return "", serializationError("")
	}
	return s, nil
}

// wordBool reads a boolean that is written as a string, as AWS's own
// deserialiser does.
func (d *decoder) wordBool() (bool, error) {
	s, err := d.text()
	if err != nil {
		return false, err
	}
	switch strings.ToLower(s) {
	case "true", "yes", "y", "t", "1":
		return true, nil
	case "false", "no", "n", "f", "0":
		return false, nil
	}
	return false, serializationError("STRING_VALUE can not be converted to an Boolean")
}

func isNumber(first byte) bool { return first == '-' || '0' <= first && first <= '9' }

// truncate returns the integer part of a JSON number, at most as large as the
// kind allows.
func truncate(number string, kind Kind) int64 {
	low, high := int64(math.MinInt32), int64(math.MaxInt32)
	if kind == Long {
		low, high = math.MinInt64, math.MaxInt64
	}
	var n int64
	if strings.ContainsAny(number, "eE") {
		f, _ := strconv.ParseFloat(number, 64) // out of range is infinite
		switch {
		case f >= float64(high):
			n = high
		case f <= float64(low):
			n = low
		default:
			n = int64(f)
		}
	} else {
		whole, _, _ := strings.Cut(number, ".")
		var err error
		n, err = strconv.ParseInt(whole, 10, 64)
		if errors.Is(err, strconv.ErrRange) {
			return map[bool]int64{false: high, true: low}[whole[0] == '-']
		}
	}
	return min(max(n, low), high)
}

// mismatch is the error for a value that starts with the byte first and should be
// of the kind.
func mismatch(kind Kind, first byte) error {
	switch {
	case first == '[':
		return serializationError(unexpectedList)
	case kind == Structure || kind == Map:
		return serializationError("Expected null")
	case first == '{':
		return serializationError(unexpectedStructure)
	case kind == List:
		return serializationError("Expected list or null")
	}
	found := "NUMBER_VALUE"
	switch first {
	case '"':
		found = "STRING_VALUE"
	case 't':
		found = "TRUE_VALUE"
	case 'f':
		found = "FALSE_VALUE"
	}
	wanted := map[Kind]string{String: "a String", Integer: "an Integer", Long: "a Long", Boolean: "a Boolean"}[kind]
	return serializationError(found + " can not be converted to " + wanted)
}
