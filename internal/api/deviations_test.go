package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A deviation is one request that differs in one place from a valid one, with the
// answer according to the model and to Athena's measured sentences.
type deviation struct {
	path, name string
	body       string
	want       verdict
}

// A verdict is the answer to a body before the operation gets it. The zero verdict
// means that the operation gets it.
type verdict struct {
	unreadable bool     // SerializationException, with
	message    string   // this message, or none
	violations []string // InvalidRequestException, naming these
}

func (v verdict) text() string {
	switch len(v.violations) {
	case 0:
		return v.message
	case 1:
		return "1 validation error detected: " + v.violations[0]
	default:
		return fmt.Sprintf("%d validation errors detected: %s", len(v.violations), strings.Join(v.violations, "; "))
	}
}

// deviations makes all deviations of an operation's request. valid are the members
// of a valid one, as JSON; values are valid strings by the name of their shape. All
// else is generated from the model.
func deviations(operation string, valid, values map[string]string) []deviation {
	g := &generator{values: values}
	input := theModel.Operations[operation].Input.Shape
	base := maps.Clone(valid)
	if base == nil {
		base = map[string]string{}
	}
	for _, r := range theModel.shape(input).Required {
		if base[r] == "" {
			base[r] = g.sample(theModel.shape(input).Members[r].Shape)
		}
	}
	g.add("", "nothing", object(base), verdict{})
	g.wholeBodies(object(base))
	g.members("", theModel.shape(input), base, object)
	return g.all
}

type generator struct {
	values map[string]string
	all    []deviation
}

func (g *generator) add(path, name, body string, want verdict) {
	g.all = append(g.all, deviation{path, name, body, want})
}

const (
	noList      = "Start of list found where not expected"
	noStructure = "Start of structure or map found where not expected."
)

// wholeBodies are the deviations of a body as such.
func (g *generator) wholeBodies(base string) {
	opened := strings.TrimSuffix(base, "}")
	if opened != "{" {
		opened += ","
	}
	for name, body := range map[string]string{
		"an empty body": "", "null": "null", "a string": `"x"`, "a number": "1", "a boolean": "true", "half a body": opened,
		"a byte order mark": "\ufeff" + base, "something behind it": base + "x", "two bodies": base + base,
		"a comma too many": opened + `"X":1,}`, "no UTF-8": opened + "\"X\":\"\xff\"}", "single quotes": `{'X':1}`,
		"nesting without end": opened + `"X":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + "}",
		"a NaN":               opened + `"X":NaN}`, "half a surrogate pair as a name": opened + `"\ud800":1}`,
	} {
		g.add("", name, body, verdict{unreadable: true})
	}
	g.add("", "a list", "["+base+"]", verdict{unreadable: true, message: noList})
	for name, body := range map[string]string{
		"space around": " \r\n\t" + base + "\n", "unknown members": opened + `"Unknown":{"a":[1,"}",null]},"contentMD5":"x"}`,
		"deep nesting of what is unknown": opened + `"X":` + strings.Repeat(`[{"a":`, 2000) + "1" + strings.Repeat("}]", 2000) + "}",
		"a member in another case":        opened + `"sessionid":1,"WORKGROUP":[]}`, "an unknown empty name": opened + `"":1}`,
	} {
		g.add("", name, body, verdict{})
	}
}

// members adds the deviations of each member of a structure. wrap makes the
// whole body of the structure's members, of which base are always there.
func (g *generator) members(path string, s *modelShape, base map[string]string, wrap func(map[string]string) string) {
	for _, name := range slices.Sorted(maps.Keys(s.Members)) {
		shape := s.Members[name].Shape
		at := join(path, strings.ToLower(name[:1])+name[1:])
		without := maps.Clone(base)
		delete(without, name)
		if name == "CalculationConfiguration" {
			delete(without, "CodeBlock") // one or the other
		}
		with := func(text string) string {
			members := maps.Clone(without)
			members[name] = text
			return wrap(members)
		}
		absent := verdict{}
		if slices.Contains(s.Required, name) {
			absent.violations = []string{"Value null at '" + at + "' failed to satisfy constraint: Member must not be null"}
		}
		g.add(at, "missing", wrap(without), absent)
		g.add(at, "null", with("null"), absent)
		good := g.sample(shape)
		if base[name] != "" {
			good = base[name]
		}
		g.add(at, "another spelling of the name", wrap(merge(without, map[string]string{name + "x": "1", strings.ToLower(name): "[1]"})), absent)
		g.add(at, "null after a value", with(good+`,"`+name+`":null`), absent)
		g.value(at, shape, good, with, direct(at))
		if wrong := wrongTypes(theModel.shape(shape)); len(wrong) > 0 {
			g.add(at, "twice, the first of a wrong type", with(wrong[0].text+`,"`+name+`":`+good), verdict{unreadable: true, message: wrong[0].message})
		}
		if bad, ok := firstBroken(theModel.shape(shape)); ok {
			g.add(at, "twice, the first broken", with(bad.text+`,"`+name+`":`+good), verdict{})
			g.add(at, "twice, the second broken", with(good+`,"`+name+`":`+bad.text), verdict{violations: direct(at)(theModel.shape(shape), bad.broken)})
		}
		g.add(at, "twice, with the name escaped", with(good+fmt.Sprintf(`,"\u%04x%s":`, name[0], name[1:])+good), verdict{})
	}
}

// blame says which violations broken constraints of a scalar are.
type blame func(s *modelShape, broken []string) []string

// direct is the blame for a member of a structure.
func direct(at string) blame {
	return func(_ *modelShape, broken []string) (all []string) {
		for _, b := range broken {
			all = append(all, "Value at '"+at+"' failed to satisfy constraint: "+b)
		}
		return all
	}
}

// collective is the blame for the scalars of a list or map, which AWS names together.
func collective(at, which string) blame {
	return func(s *modelShape, broken []string) []string {
		if broken == nil {
			return nil
		}
		return []string{"Value at '" + at + "' failed to satisfy constraint: " + which + " must satisfy constraint: [" + strings.Join(s.constraints(), ", ") + "]"}
	}
}

// value adds the deviations of a value; with makes the whole body of the value's text.
func (g *generator) value(at, shape, good string, with func(string) string, to blame) {
	s := theModel.shape(shape)
	g.add(at, "as it should be", with(good), verdict{})
	for _, w := range wrongTypes(s) {
		g.add(at, w.name, with(w.text), verdict{unreadable: true, message: w.message})
	}
	switch s.Type {
	case "structure":
		base := map[string]string{}
		for _, r := range s.Required {
			base[r] = g.sample(s.Members[r].Shape)
		}
		if len(base) == 0 {
			g.add(at, "empty", with("{}"), verdict{})
		}
		g.members(at, s, base, func(members map[string]string) string { return with(object(members)) })
	case "list":
		element := theModel.shape(s.Member.Shape)
		for _, n := range lengths(s) {
			var broken []string
			if s.Max != nil && int64(n) > *s.Max {
				broken = append(broken, s.maxSentence())
			}
			if s.Min != nil && int64(n) < *s.Min {
				broken = append(broken, s.minSentence())
			}
			all := slices.Repeat([]string{g.sample(s.Member.Shape)}, n)
			want := verdict{violations: to(s, broken)}
			g.add(at, fmt.Sprintf("%d elements", n), with("["+strings.Join(all, ",")+"]"), want)
			g.add(at, fmt.Sprintf("%d elements and a null", n), with("["+strings.Join(append(all, "null"), ",")+"]"), want)
		}
		inside := join(at, "1.member")
		if element.scalar() {
			to, inside = collective(at, "Member"), at
		}
		g.value(inside, s.Member.Shape, g.sample(s.Member.Shape), func(text string) string { return with("[" + text + "]") }, to)
	case "map":
		g.add(at, "empty", with("{}"), verdict{})
		g.add(at, "null in it", with(`{"a":null}`), verdict{})
		item := g.sample(s.Value.Shape)
		for _, c := range cases(theModel.shape(s.Key.Shape)) {
			g.add(at, "key "+c.name, with("{"+c.text+":"+item+"}"), verdict{violations: collective(at, "Map keys")(theModel.shape(s.Key.Shape), c.broken)})
		}
		g.add(at, "equal keys", with(`{"a":`+item+`,"a":`+item+`}`), verdict{})
		g.add(at, "half a surrogate pair as a key", with(`{"\udc00":`+item+`}`), verdict{unreadable: true})
		inside := join(at, "a.member")
		if theModel.shape(s.Value.Shape).scalar() {
			to, inside = collective(at, "Map value"), at
		}
		g.value(inside, s.Value.Shape, item, func(text string) string { return with(`{"a":` + text + `}`) }, to)
	default:
		for _, c := range cases(s) {
			g.add(at, c.name, with(c.text), verdict{violations: to(s, c.broken)})
		}
	}
}

// lengths are those at which the bounds of a list or map can be seen.
func lengths(s *modelShape) []int {
	all := []int{0, 1, 2}
	if s.Min != nil {
		all = append(all, int(*s.Min))
	}
	if s.Max != nil {
		all = append(all, int(*s.Max), int(*s.Max)+1)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// sample is a valid value of a shape.
func (g *generator) sample(shape string) string {
	s := theModel.shape(shape)
	switch s.Type {
	case "structure":
		members := map[string]string{}
		for _, r := range s.Required {
			members[r] = g.sample(s.Members[r].Shape)
		}
		return object(members)
	case "list":
		return "[" + g.sample(s.Member.Shape) + "]"
	case "map":
		return `{"a":` + g.sample(s.Value.Shape) + `}`
	}
	if v := g.values[shape]; v != "" {
		return v
	}
	for _, c := range cases(s) {
		if c.broken == nil && c.text != `""` {
			return c.text
		}
	}
	panic("no valid value of " + shape)
}

func (s *modelShape) scalar() bool {
	return !slices.Contains([]string{"structure", "list", "map"}, s.Type)
}

// A wrong is a value of another JSON type, with AWS's name for the type.
type wrong struct{ name, text, message string }

func wrongTypes(s *modelShape) []wrong {
	texts := map[string]string{"STRING_VALUE": `"x"`, "NUMBER_VALUE": "1", "TRUE_VALUE": "true", "FALSE_VALUE": "false", "list": "[1]", "structure": `{"a":1}`}
	wanted := map[string]string{"string": "a String", "integer": "an Integer", "long": "a Long", "boolean": "a Boolean"}[s.Type]
	fitting := map[string][]string{
		"string": {"STRING_VALUE"}, "integer": {"NUMBER_VALUE"}, "long": {"NUMBER_VALUE"}, "boolean": {"TRUE_VALUE", "FALSE_VALUE", "STRING_VALUE"},
		"list": {"list"}, "structure": {"structure"}, "map": {"structure"},
	}[s.Type]
	var all []wrong
	for _, found := range slices.Sorted(maps.Keys(texts)) {
		if slices.Contains(fitting, found) {
			continue
		}
		w := wrong{name: found, text: texts[found]}
		switch {
		case found == "list":
			w.message = noList
		case s.Type == "structure" || s.Type == "map":
			w.message = "Expected null"
		case found == "structure":
			w.message = noStructure
		case s.Type == "list":
			w.message = "Expected list or null"
		default:
			w.message = found + " can not be converted to " + wanted
		}
		all = append(all, w)
	}
	switch s.Type {
	case "boolean":
		all = append(all, wrong{"a word that is no boolean", `"maybe"`, "STRING_VALUE can not be converted to an Boolean"})
	case "string":
		all = append(all, wrong{"half a surrogate pair", `"\ud83d"`, ""})
	case "integer", "long":
		all = append(all, wrong{"a number as a string", `"1"`, "STRING_VALUE can not be converted to " + wanted})
	}
	return all
}

// A scalarCase is a value of the right JSON type and the sentences of the
// constraints that it violates, in AWS's order.
type scalarCase struct {
	name, text string
	broken     []string
}

func firstBroken(s *modelShape) (scalarCase, bool) {
	if !s.scalar() {
		return scalarCase{}, false
	}
	all := cases(s)
	i := slices.IndexFunc(all, func(c scalarCase) bool { return c.broken != nil })
	if i < 0 {
		return scalarCase{}, false
	}
	return all[i], true
}

func cases(s *modelShape) []scalarCase {
	switch s.Type {
	case "boolean":
		return []scalarCase{{"true", "true", nil}, {"false", "false", nil}, {"a word", `"TRUE"`, nil}, {"another word", `"no"`, nil}}
	case "integer", "long":
		return numberCases(s)
	case "string":
		if s.Enum != nil {
			return enumCases(s)
		}
		return stringCases(s)
	}
	panic("no scalar: " + s.Type)
}

func numberCases(s *modelShape) (all []scalarCase) {
	low, high := int64(-5), int64(5)
	if s.Min != nil {
		low = *s.Min
	}
	if s.Max != nil {
		high = *s.Max
	} else if s.Min != nil {
		high = low + 1000
	}
	add := func(name, text string, n int64) {
		c := scalarCase{name: name, text: text}
		if s.Max != nil && n > *s.Max {
			c.broken = append(c.broken, s.constraints()[0])
		}
		if s.Min != nil && n < *s.Min {
			c.broken = append(c.broken, s.minSentence())
		}
		all = append(all, c)
	}
	for name, n := range map[string]int64{"the least": low, "the most": high, "one below": low - 1, "one above": high + 1} {
		add(name, strconv.FormatInt(n, 10), n)
		if n >= 0 {
			add(name+", and a fraction that is cut off", strconv.FormatInt(n, 10)+".999", n)
		}
		add(name+", with an exponent", strconv.FormatInt(n, 10)+"e0", n)
	}
	const huge = 1 << 62
	add("more than 64 bits", "99999999999999999999", huge)
	add("less than 64 bits", "-99999999999999999999", -huge)
	add("beyond all numbers", "9e999", huge)
	add("minus zero", "-0", 0)
	slices.SortFunc(all, func(a, b scalarCase) int { return strings.Compare(a.name, b.name) })
	// "the least" has to come first: sample takes the first valid one.
	slices.SortStableFunc(all, func(a, b scalarCase) int { return boolInt(b.name == "the least") - boolInt(a.name == "the least") })
	return all
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func enumCases(s *modelShape) (all []scalarCase) {
	for _, v := range s.Enum {
		all = append(all, scalarCase{v, quoted(v), nil})
	}
	broken := s.constraints()
	for _, v := range []string{"", strings.ToLower(s.Enum[0]), s.Enum[0] + " ", "UNHEARD_OF", "😀"} {
		all = append(all, scalarCase{fmt.Sprintf("%q", v), quoted(v), broken})
	}
	return all
}

func stringCases(s *modelShape) (all []scalarCase) {
	p, ok := patterns[s.Pattern]
	if !ok {
		panic("patterns_test.go has no examples of the pattern " + s.Pattern)
	}
	add := func(name, v string, matches bool) {
		c := scalarCase{name: name, text: quoted(v)}
		if !matches {
			c.broken = append(c.broken, s.patternSentence())
		}
		n := int64(utf8.RuneCountInString(v))
		if s.Max != nil && n > *s.Max {
			c.broken = append(c.broken, s.maxSentence())
		}
		if s.Min != nil && n < *s.Min {
			c.broken = append(c.broken, s.minSentence())
		}
		all = append(all, c)
	}
	for _, v := range p.good {
		add(fmt.Sprintf("%.60q", v), v, true)
	}
	for _, v := range p.bad {
		add(fmt.Sprintf("%.60q, against the pattern", v), v, false)
	}
	lengths := []int64{0, 1, 300}
	if s.Min != nil {
		lengths = append(lengths, *s.Min-1, *s.Min)
	}
	if s.Max != nil {
		lengths = append(lengths, *s.Max, *s.Max+1)
	}
	slices.Sort(lengths)
	for _, n := range slices.Compact(lengths) {
		if n < 0 || s.Max != nil && n > *s.Max+1 {
			continue
		}
		if v, ok := p.of(int(n)); ok {
			add(fmt.Sprintf("%d characters", n), v, true)
		} else {
			add(fmt.Sprintf("%d characters, against the pattern", n), strings.Repeat("!", int(n)), false)
		}
		if p.any {
			add(fmt.Sprintf("%d characters of 4 bytes", n), strings.Repeat("😀", int(n)), true)
		}
	}
	return all
}

// constraints are a scalar's, as AWS lists those of a collection's elements.
func (s *modelShape) constraints() (all []string) {
	if s.Max != nil {
		all = append(all, s.maxSentence())
	}
	if s.Min != nil {
		all = append(all, s.minSentence())
	}
	if s.Pattern != "" {
		all = append(all, s.patternSentence())
	}
	if s.Enum != nil {
		all = append(all, "Member must satisfy enum value set: ["+strings.Join(s.Enum, ", ")+"]")
	}
	return all
}

func (s *modelShape) patternSentence() string {
	return "Member must satisfy regular expression pattern: " + s.Pattern
}

func (s *modelShape) maxSentence() string {
	return fmt.Sprintf("Member must have %s less than or equal to %d", s.measure(), *s.Max)
}

func (s *modelShape) minSentence() string {
	return fmt.Sprintf("Member must have %s greater than or equal to %d", s.measure(), *s.Min)
}

func (s *modelShape) measure() string {
	if s.Type == "integer" || s.Type == "long" {
		return "value"
	}
	return "length"
}

func join(path, step string) string {
	if path == "" {
		return step
	}
	return path + "." + step
}

// object is a JSON object of members that are JSON already.
func object(members map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(members)) {
		parts = append(parts, quoted(name)+":"+members[name])
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func merge(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func quoted(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}
