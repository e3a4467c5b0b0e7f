package awsjson_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ergane-dev/ergane/internal/awsjson"
)

func TestDecodeReadsEveryKind(t *testing.T) {
	t.Parallel()
	got, err := awsjson.Decode(&inputSh, []byte(` { "Name" : "ab\u00e9" , "Count":7, "Size":-3,"Flag":true,"State":"ON",
		"Nested":{"ID":"\"\\\/\b\f\n\r\t\ud83d\ude00"},"Names":["a","b"],"Items":[{"ID":""},{"ID":"y","Text":"t"}],
		"Lists":{"ON":["OFF"]},"Props":{"a":"b"} } `))
	if err != nil {
		t.Fatal(err)
	}
	want := &input{
		Name: new("abé"), Count: new(7), Size: new(int64(-3)), Flag: new(true), State: new(state("ON")),
		Nested: &nested{ID: new("\"\\/\b\f\n\r\t😀")}, Names: []string{"a", "b"},
		Items: []nested{{ID: new("")}, {ID: new("y"), Text: new("t")}},
		Lists: map[string][]state{"ON": {"OFF"}}, Props: map[string]string{"a": "b"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeIsLenientWhereAWSIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		want       input
	}{
		{"null is absent", `{"Name":"a","Count":null,"Nested":null,"Names":null,"Props":null}`, input{}},
		{"null elements and values are dropped", `{"Name":"a","Names":["a",null],"Props":{"a":null,"b":"c"}}`,
			input{Names: []string{"a"}, Props: map[string]string{"b": "c"}}},
		{"empty collections are not absent", `{"Name":"a","Names":[],"Props":{}}`, input{Names: []string{}, Props: map[string]string{}}},
		{"unknown members are ignored", `{"Name":"a","Other":{"x":[1,"}",{"y":null}]},"More":-1.5e3,"S":"\"]"}`, input{}},
		{"names are case-sensitive", `{"Name":"a","count":"x","FLAG":3}`, input{}},
		{"the last of equal names counts", `{"Name":"z","Count":1,"Names":["a","b"],"Name":"a","Count":2,"Names":["c"]}`,
			input{Count: new(2), Names: []string{"c"}}},
		{"a null removes an earlier value", `{"Name":"a","Count":1,"Props":{"a":"b","a":null},"Count":null}`, input{Props: map[string]string{}}},
		{"names may be escaped", `{"\u004eame":"a"}`, input{}},
		{"fractions are cut off", `{"Name":"a","Count":1.9,"Size":-0.9}`, input{Count: new(1), Size: new(int64(0))}},
		{"exponents are understood", `{"Name":"a","Count":1.2e1,"Size":1e-400}`, input{Count: new(12), Size: new(int64(0))}},
		{"numbers beyond 64 bits count as the nearest", `{"Name":"a","Size":99999999999999999999}`, input{Size: new(int64(math.MaxInt64))}},
		{"exponents beyond it, too", `{"Name":"a","Size":1e999}`, input{Size: new(int64(math.MaxInt64))}},
		{"booleans may be words", `{"Name":"a","Flag":"Yes"}`, input{Flag: new(true)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := awsjson.Decode(&inputSh, []byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			c.want.Name = new("a")
			if diff := cmp.Diff(&c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeRefusesWrongTypesInAthenasWords(t *testing.T) {
	t.Parallel()
	const list, structure = "Start of list found where not expected", "Start of structure or map found where not expected."
	for body, want := range map[string]string{
		`{"Count":"1"}`:         "STRING_VALUE can not be converted to an Integer",
		`{"Count":true}`:        "TRUE_VALUE can not be converted to an Integer",
		`{"Count":false}`:       "FALSE_VALUE can not be converted to an Integer",
		`{"Count":[1]}`:         list,
		`{"Count":{}}`:          structure,
		`{"Size":"1"}`:          "STRING_VALUE can not be converted to a Long",
		`{"Name":1}`:            "NUMBER_VALUE can not be converted to a String",
		`{"Name":1.5}`:          "NUMBER_VALUE can not be converted to a String",
		`{"Name":true}`:         "TRUE_VALUE can not be converted to a String",
		`{"Name":["x"]}`:        list,
		`{"Name":{"a":1}}`:      structure,
		`{"Names":"x"}`:         "Expected list or null",
		`{"Names":1}`:           "Expected list or null",
		`{"Names":{}}`:          structure,
		`{"Names":[1]}`:         "NUMBER_VALUE can not be converted to a String",
		`{"Names":[["a"]]}`:     list,
		`{"Nested":"x"}`:        "Expected null",
		`{"Nested":1}`:          "Expected null",
		`{"Nested":[]}`:         list,
		`{"Nested":{"Text":1}}`: "NUMBER_VALUE can not be converted to a String",
		`{"Items":[{"ID":1}]}`:  "NUMBER_VALUE can not be converted to a String",
		`{"Props":"x"}`:         "Expected null",
		`{"Props":[]}`:          list,
		`{"Props":{"a":1}}`:     "NUMBER_VALUE can not be converted to a String",
		`{"Flag":1}`:            "NUMBER_VALUE can not be converted to a Boolean",
		`{"Flag":"maybe"}`:      "STRING_VALUE can not be converted to an Boolean",
		`[]`:                    list,
		// A type error comes before missing members and violated constraints.
		`{"Count":"1","Names":["!"]}`: "STRING_VALUE can not be converted to an Integer",
		// Malformed bodies have no message.
		`{`: "", ``: "", `null`: "", `"x"`: "", `1`: "", `true`: "", `{"Name":"a",}`: "", `{"Name":"a"} {}`: "", `{'Name':1}`: "",
		"{\"Name\":\"\xff\"}":          "",
		`{"Name":"\ud800"}`:            "",
		`{"Name":"\ud800\u0041"}`:      "",
		`{"Name":"\ud800x"}`:           "",
		`{"\udc00":1}`:                 "",
		`{"Props":{"\udc00":"x"}}`:     "",
		strings.Repeat("[", 1<<20):     "",
		"\ufeff{}":                     "",
		`{"X":` + deep(20000) + `}`:    "",
		`{"Name":"a","Name":"b","Name`: "",
	} {
		_, err := awsjson.Decode(&inputSh, []byte(body))
		e, ok := err.(*awsjson.Error)
		if !ok || e.Type != "SerializationException" || e.Status != 400 || e.Message != want {
			t.Errorf("%.60q: got %v, want message %q", body, err, want)
		}
	}
}

func deep(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

// FuzzDecode compares with encoding/json: what that reads into plain maps and
// lists is what Decode reads, once the rules that are AWS's are applied to it.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"Name":"a"}`, `{"Name":"a","Count":1.5,"Props":{"k":"v"},"Items":[{"ID":"x"}]}`, `{"Name":"\ud83d\ude00\n"}`,
		`{"Name":null,"Name":"b","X":[[{"a":"]"}]]}`, `[]`, `{`, `{"Names":["a",null,"b"]}`, `{"Count":1e99}`, `{"Lists":{"ON":["OFF"]}}`,
		`{"Flag":"Yes","Size":-1.9,"Nested":{"ID":"\\","ID":"\""},"Props":{"a":"b","a":null}}`, `{"Size":9223372036854775808,"Count":-2147483649}`, `{"Size":1e999999999999999999999,"Count":-0e-9}`,
		`{"Count":1,"Count":null,"Nested":{"Text":"a"},"Nested":{"ID":"b"},"Lists":{"a":["b"]},"Lists":{}}`,
	} {
		f.Add([]byte(seed))
	}
	shape := unconstrained(&inputSh)
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := awsjson.Decode(shape, body)
		if err != nil {
			return
		}
		if !utf8.Valid(body) {
			t.Fatal("accepted a body that is not UTF-8")
		}
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		var read map[string]any
		if err := dec.Decode(&read); err != nil {
			t.Fatalf("accepted a body that encoding/json refuses: %v", err)
		}
		if diff := cmp.Diff(byRules(shape, read), plain(shape, reflect.ValueOf(got).Elem())); diff != "" {
			t.Errorf("(-encoding/json +Decode)\n%s", diff)
		}
	})
}

// unconstrained is the shape without any constraints.
func unconstrained(s *awsjson.Shape) *awsjson.Shape {
	out := &awsjson.Shape{Kind: s.Kind, New: s.New}
	for _, m := range s.Members {
		out.Members = append(out.Members, awsjson.Member{Name: m.Name, Shape: unconstrained(m.Shape)})
	}
	if s.Key != nil {
		out.Key = unconstrained(s.Key)
	}
	if s.Element != nil {
		out.Element = unconstrained(s.Element)
	}
	return out
}

// byRules turns what encoding/json has read into what Decode should: without
// nulls and unknown members, with integers and with booleans.
func byRules(s *awsjson.Shape, v any) any {
	switch s.Kind {
	case awsjson.Structure:
		out := map[string]any{}
		for _, m := range s.Members {
			if member := v.(map[string]any)[m.Name]; member != nil {
				out[m.Name] = byRules(m.Shape, member)
			}
		}
		return out
	case awsjson.List:
		out := []any{}
		for _, e := range v.([]any) {
			if e != nil {
				out = append(out, byRules(s.Element, e))
			}
		}
		return out
	case awsjson.Map:
		out := map[string]any{}
		for k, e := range v.(map[string]any) {
			if e != nil {
				out[k] = byRules(s.Element, e)
			}
		}
		return out
	case awsjson.Integer, awsjson.Long:
		low, high := int64(math.MinInt32), int64(math.MaxInt32)
		if s.Kind == awsjson.Long {
			low, high = math.MinInt64, math.MaxInt64
		}
		text := v.(json.Number).String()
		if strings.ContainsAny(text, "eE") { // as precise as a float64
			f, _ := strconv.ParseFloat(text, 64)
			n, _ := big.NewFloat(f).Int64() // cut off, or the nearest
			return min(max(n, low), high)
		}
		whole, _, _ := strings.Cut(text, ".")
		n, _ := new(big.Int).SetString(whole, 10)
		switch {
		case n.Cmp(big.NewInt(low)) < 0:
			return low
		case n.Cmp(big.NewInt(high)) > 0:
			return high
		}
		return n.Int64()
	case awsjson.Boolean:
		if word, ok := v.(string); ok {
			return strings.Contains("true yes 1", strings.ToLower(word)) // y and t are in there
		}
	}
	return v
}

// plain is a decoded value in the form of byRules.
func plain(s *awsjson.Shape, v reflect.Value) any {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch s.Kind {
	case awsjson.Structure:
		out := map[string]any{}
		for i, m := range s.Members {
			if !v.Field(i).IsNil() {
				out[m.Name] = plain(m.Shape, v.Field(i))
			}
		}
		return out
	case awsjson.List:
		out := []any{}
		for i := range v.Len() {
			out = append(out, plain(s.Element, v.Index(i)))
		}
		return out
	case awsjson.Map:
		out := map[string]any{}
		for _, k := range v.MapKeys() {
			out[k.String()] = plain(s.Element, v.MapIndex(k))
		}
		return out
	case awsjson.Integer, awsjson.Long:
		return v.Int()
	case awsjson.Boolean:
		return v.Bool()
	}
	return v.String()
}
