package api

import "strings"

// A pattern is known to the tests by examples alone, not by a second reading of
// its text as a regular expression.
type pattern struct {
	// of returns a string of n characters that matches, and false if none exists.
	of        func(n int) (string, bool)
	any       bool // of has characters of four bytes, too
	good, bad []string
}

// padded makes strings of a head and as many more letters as are wanted, at
// least one and at most limit characters in all.
func padded(head string, limit int) func(int) (string, bool) {
	return func(n int) (string, bool) {
		if n <= len(head) || n > limit {
			return "", false
		}
		return head + strings.Repeat("a", n-len(head)), true
	}
}

func anything(n int) (string, bool) { return strings.Repeat("x", n), true }

// none is for patterns whose only strings are the good ones.
func none(int) (string, bool) { return "", false }

const (
	endless = 1 << 30
	uuidOne = "0123abcd-4567-89ef-0123-456789abcdef"
	xmlText = `[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]`
)

// patterns has examples for every pattern of the model's inputs, by its text.
var patterns = map[string]pattern{
	"": {of: anything, any: true, good: []string{"a\nb\t\u0000\u2028", "é\U0010ffff"}},
	`^[0-9]+$`: {
		of:  func(n int) (string, bool) { return strings.Repeat("7", n), n > 0 },
		bad: []string{"12345678901a", "１２３４５６７８９０１２", "-12345678901", "12345678901\n"},
	},
	`[a-zA-Z0-9._-]+`: {of: padded("", endless), good: []string{"a.B_c-1"}, bad: []string{"a b", "é", "a\n", "a/b"}},
	`[a-zA-Z0-9._-]{1,128}`: {
		of: padded("", 128), good: []string{strings.Repeat("w", 128), "a.B_c-1"},
		bad: []string{strings.Repeat("w", 129), "a b", "a/b", "é", "😀", "a\n", "\n", "a\u0000"},
	},
	xmlText + `*`: {
		of: anything, any: true,
		good: []string{"\t", " ", "\u0085", "\u2028", "\ud7ff", "\ue000", "\ufffd", "\U00010000", "\U0010ffff"},
		bad:  []string{"a\nb", "\r", "\u0000", "\u0008", "\u001f", "\ufffe", "\uffff", "a\n"},
	},
	`(?!.*[/:\\])` + xmlText + `+`: {
		of: func(n int) (string, bool) { return strings.Repeat("n", n), n > 0 }, good: []string{"a name, (odd) 😀", "\t"},
		bad: []string{"a/b", "a:b", `a\b`, "/", "a\nb", "a\n/", "\u0000", "\uffff"},
	},
	`[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}`: {
		of: none, good: []string{uuidOne}, bad: []string{strings.ToUpper(uuidOne), uuidOne[1:], "g" + uuidOne[1:]},
	},
	`^arn:(aws|aws-us-gov|aws-cn|aws-iso|aws-iso-b):sso::\d{12}:application/(sso)?ins-[a-zA-Z0-9-.]{16}/apl-[a-zA-Z0-9]{16}$`: {
		of: none, good: []string{"arn:aws:sso::123456789012:application/ssoins-0123456789abc.-Z/apl-0123456789abcdeF"},
		bad: []string{"arn:aws:sso::123456789012:application/ssoins-0123456789abc.-Z/apl-0123456789abcdeF0", "x"},
	},
	`^arn:(aws|aws-us-gov|aws-cn|aws-iso|aws-iso-b):sso:::instance/(sso)?ins-[a-zA-Z0-9-.]{16}$`: {
		of:   none,
		good: []string{"arn:aws:sso:::instance/ssoins-0123456789abc.-Z", "arn:aws-iso-b:sso:::instance/ins-0123456789abcdef"},
		bad:  []string{"arn:aws:sso:::instance/ssoins-0123456789abcde", "arn:aws:sso:::instance/ssoins-0123456789abcde_", "arn:other:sso:::instance/ssoins-0123456789abcdef", "arn:aws:sso:::instance/ssoins-0123456789abcdef\n"},
	},
	`^arn:aws[a-z\-]*:kms:[a-z0-9\-]+:\d{12}:(key/(mrk-)?[0-9a-f\-]+|alias/[a-zA-Z0-9/_\-]+)$`: {
		of:   padded("arn:aws:kms:us-east-1:123456789012:alias/", endless),
		good: []string{"arn:aws:kms:us-east-1:123456789012:key/" + uuidOne, "arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-0f", "arn:aws:kms:us-east-1:123456789012:alias/a/b_c-1"},
		bad: []string{"alias/a", uuidOne, "arn:aws:kms:us-east-1:12345678901:key/0", "arn:aws:kms:us-east-1:123456789012:key/x",
			"arn:aws:kms:us-east-1:123456789012:alias/a+b", "arn:aws:kms:us-east-1:123456789012:alias/a\n"},
	},
	`^(arn:aws[a-z\-]*:kms:([a-z0-9\-]+):\d{12}:key/?[a-zA-Z_0-9+=,.@\-_/]+|arn:aws[a-z\-]*:kms:([a-z0-9\-]+):\d{12}:alias/?[a-zA-Z_0-9+=,.@\-_/]+|alias/[a-zA-Z0-9/_-]+|[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12})$`: {
		of:   padded("alias/", endless),
		good: []string{uuidOne, "arn:aws:kms:us-east-1:123456789012:key/" + uuidOne, "arn:aws-us-gov:kms:us-gov-west-1:123456789012:alias/a+b", "alias/aws/s3"},
		bad: []string{"alias/", "alias/a b", "x", strings.ToUpper(uuidOne), "x" + uuidOne, uuidOne + "x", "arn:aws:kms:us-east-1:12345678901:key/x",
			"arn:aws:kms:us-east-1:123456789012:key", "alias/x\n", "xalias/x"},
	},
	`^[a-zA-Z0-9._/-]+$`: {of: padded("", endless), good: []string{"/aws/athena/a.B_c-1"}, bad: []string{"a b", "a:b", "é", "a\n", "${x}"}},
	`^[^:*]*$`:           {of: anything, any: true, good: []string{"a\nb", "session-"}, bad: []string{"a:b", "*", "a*\n"}},
	`\S+`: {
		of: padded("", endless), good: []string{"é\u00a0", "😀"},
		// Java's \s: space, tab, newline, vertical tab, form feed, carriage return.
		bad: []string{" ", "a b", "a\tb", "a\n", "a\u000bb", "a\fb", "a\rb"},
	},
	`^arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+$`: {
		of:   padded("arn:aws:iam::123456789012:role", endless),
		good: []string{"arn:aws-cn:iam::123456789012:role/service-role/a+b=c,d.e@f-g_h"},
		bad: []string{"arn:aws:iam::12345678901:role/x", "arn:aws:iam::123456789012:role", "arn:aws:iam::123456789012:role/a b", "arn:aws:iam::123456789012:user/x",
			"arn:aws:iam::123456789012:role/x\n", "arn:aws:iam::１２３４５６７８９０１２:role/x"},
	},
	`^s3://[a-z0-9][a-z0-9\-]*[a-z0-9](/.*)?$`: {
		of: padded("s3://b", endless), good: []string{"s3://ab", "s3://ab/", "s3://a-b/any thing é😀/"},
		bad: []string{"s3://a", "s3://A-bucket", "s3://-ab", "https://ab/c", "s3://a.b/c", "s3://ab/x\ny", "s3://ab/x\u2028", "s3://ab/\u0085", "S3://ab"},
	},
	`^(https|s3|S3)://([^/]+)/?(.*)$`: {
		of: padded("s3://", endless), good: []string{"https://h/p", "S3://b"}, bad: []string{"s3:///x", "ftp://x", "s3://", "http://x"},
	},
	`[a-zA-Z_][a-zA-Z0-9_@:]{1,256}`: {
		of: func(n int) (string, bool) { return strings.Repeat("s", n), 2 <= n && n <= 257 }, bad: []string{"1a", "a b", "a-b"},
	},
}
