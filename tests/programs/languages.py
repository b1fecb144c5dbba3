"""The libraries by which programs in PHP, Ruby, Perl, JavaScript and Python send mail."""

from tests.programs.letters import Program

ALL = ("CC HIDDEN TO",)

PHP_MAIL = """<?php
$headers = "From: Alice <alice@example.net>\\r\\nCc: $_ENV[CC]\\r\\nBcc: $_ENV[HIDDEN]\\r\\nMIME-Version: 1.0\\r\\n" .
    "Content-Type: text/plain; charset=utf-8";
exit(mail($_ENV["TO"], $_ENV["SUBJECT"], file_get_contents("text"), $headers, "-falice@example.net") ? 0 : 1);
"""

PHPMAILER = """<?php
require "/usr/share/php/libphp-phpmailer/autoload.php";
$mail = new PHPMailer\\PHPMailer\\PHPMailer(true);
$mail->@WAY@();
$mail->CharSet = "utf-8";
$mail->setFrom("alice@example.net", "Alice");
$mail->addAddress($_ENV["TO"], "The One");
$mail->addCC($_ENV["CC"]);
$mail->addBCC($_ENV["HIDDEN"]);
$mail->Subject = $_ENV["SUBJECT"];
$mail->Body = file_get_contents("text");
$mail->addAttachment("blob");
$mail->send();
"""

SYMFONY = """<?php
require "/usr/share/php/Symfony/Component/Mailer/autoload.php";
$transport = Symfony\\Component\\Mailer\\Transport::fromDsn("sendmail://default@WAY@");
$mail = (new Symfony\\Component\\Mime\\Email())->from("Alice <alice@example.net>")->to($_ENV["TO"])->cc($_ENV["CC"])
    ->bcc($_ENV["HIDDEN"])->subject($_ENV["SUBJECT"])->text(file_get_contents("text"))->attachFromPath("blob");
(new Symfony\\Component\\Mailer\\Mailer($transport))->send($mail);
"""

RUBY = """require "mail"
Mail.defaults { delivery_method @WAY@ }
Mail.deliver do
  from "Alice <alice@example.net>"
  to ENV["TO"]
  cc ENV["CC"]
  bcc ENV["HIDDEN"]
  subject ENV["SUBJECT"]
  text_part { content_type "text/plain; charset=UTF-8"; body File.read("text") }
  add_file "blob"
end
"""

EMAIL_SENDER = """use strict;
use Email::Sender::Simple "sendmail";
use Email::Sender::Transport::Sendmail;
open my $file, "<", "text"; local $/; my $text = <$file>;
my $head = "From: Alice <alice\\@example.net>\\nTo: $ENV{TO}\\nSubject: $ENV{SUBJECT}\\nMIME-Version: 1.0\\n" .
    "Content-Type: text/plain; charset=utf-8\\nContent-Transfer-Encoding: 8bit\\n\\n";
sendmail($head . $text, {from => "alice\\@example.net", to => [$ENV{TO}, $ENV{CC}, $ENV{HIDDEN}],
    transport => Email::Sender::Transport::Sendmail->new});
"""

MIME_LITE = """use strict;
use MIME::Lite;
my $mail = MIME::Lite->new(From => "alice\\@example.net", To => $ENV{TO}, Cc => $ENV{CC}, Bcc => $ENV{HIDDEN},
    Subject => $ENV{SUBJECT}, Type => "multipart/mixed");
$mail->attach(Type => "text/plain; charset=utf-8", Path => "text", Encoding => "8bit");
$mail->attach(Type => "application/octet-stream", Path => "blob", Filename => "blob", Encoding => "base64");
$mail->send("sendmail", "/usr/lib/sendmail -t -oi -oem") or die;
"""

MAIL_MAILER = """use strict;
use Mail::Mailer;
open my $file, "<", "text"; local $/; my $text = <$file>;
my $mail = Mail::Mailer->new("sendmail");
$mail->open({From => "alice\\@example.net", To => [$ENV{TO}, $ENV{CC}], Bcc => $ENV{HIDDEN}, Subject => $ENV{SUBJECT}});
print $mail $text;
$mail->close or die "close: $?";
"""

NODEMAILER = """const nodemailer = require("/usr/share/nodejs/nodemailer");
const { TO, CC, HIDDEN, SUBJECT } = process.env;
nodemailer.createTransport({ sendmail: true, @WAY@ path: "/usr/sbin/sendmail" }).sendMail({
  from: "Alice <alice@example.net>", to: TO, cc: CC, bcc: HIDDEN, subject: SUBJECT,
  text: require("fs").readFileSync("text", "utf8"), attachments: [{ filename: "blob", path: "blob" }],
}, error => { if (error) { console.error(error.message); process.exit(1); } });
"""

PYTHON = """import email.message, email.policy, os, pathlib, subprocess
message = email.message.EmailMessage(@WAY@)
message["From"], message["To"], message["Cc"] = "Alice <alice@example.net>", os.environ["TO"], os.environ["CC"]
message["Bcc"], message["Subject"] = os.environ["HIDDEN"], os.environ["SUBJECT"]
message.set_content(pathlib.Path("text").read_text())
message.add_attachment(pathlib.Path("blob").read_bytes(), "application", "octet-stream", filename="blob")
subprocess.run(["/usr/sbin/sendmail", "-t", "-oi"], input=message.as_bytes(), check=True)
"""

PYTHON_POPEN = """import os
pipe = os.popen("/usr/sbin/sendmail -t", "w")
pipe.write(f"To: {os.environ['TO']}\\nBcc: {os.environ['HIDDEN']}\\nSubject: {os.environ['SUBJECT']}\\n\\n")
pipe.write(open("text").read())
raise SystemExit(pipe.close())
"""

PHP = "php -d variables_order=EGPCS"
NET = "alice@example.net"
LANGUAGES = [
    Program("PHP mail", PHP_MAIL, PHP, sender=NET, copies=ALL),
    Program("PHPMailer isMail", PHPMAILER.replace("@WAY@", "isMail"), PHP, sender=NET, copies=ALL, attached=True),
    Program("PHPMailer isSendmail", PHPMAILER.replace("@WAY@", "isSendmail"), PHP, sender=NET, copies=ALL, attached=True),
    Program("Symfony", SYMFONY.replace("@WAY@", ""), PHP, sender=NET, copies=ALL, attached=True),
    Program(
        "Symfony with -t",
        SYMFONY.replace("@WAY@", "?command=/usr/sbin/sendmail%20-oi%20-t"),
        PHP,
        sender=NET,
        copies=ALL,
        attached=True,
    ),
    Program("Ruby mail", RUBY.replace("@WAY@", ":sendmail"), "ruby -", sender=NET, copies=ALL, attached=True),
    # What it calls exim, with -t, is not told about hidden recipients.
    Program(
        "Ruby mail with -t",
        RUBY.replace("@WAY@", ':exim, location: "/usr/sbin/sendmail"'),
        "ruby -",
        sender=NET,
        copies=("CC TO",),
        attached=True,
    ),
    Program("Perl Email-Sender", EMAIL_SENDER, "perl -", sender=NET, copies=ALL),
    Program("Perl MIME-Lite", MIME_LITE, "perl -", copies=ALL, attached=True),
    Program("Perl Mail-Mailer", MAIL_MAILER, "perl -", copies=ALL),
    Program("Nodemailer", NODEMAILER.replace("@WAY@", ""), "node -", sender=NET, copies=ALL, attached=True),
    Program(
        "Nodemailer with CRLF",
        NODEMAILER.replace("@WAY@", 'newline: "windows", args: ["-t", "-f", "alice@example.net"],'),
        "node -",
        sender=NET,
        copies=ALL,
        attached=True,
    ),
    Program("Python", PYTHON.replace("@WAY@", ""), "python3 -", copies=ALL, attached=True),
    Program("Python with CRLF", PYTHON.replace("@WAY@", "email.policy.SMTP"), "python3 -", copies=ALL, attached=True),
    Program("Python os.popen", PYTHON_POPEN, "python3 -", copies=("HIDDEN TO",)),
]
