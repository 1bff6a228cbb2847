"""Timber, sails and paint: suppliers who write in German, French and Spanish."""

from ..documents import pdf, table
from ..letter import File, Letter

GERMAN = (
    Letter(
        "larch-ask",
        "147d 09:10",
        "marta",
        "jurgen",
        "Lärche für einen Lotsenkutter",
        """
        Lieber Herr Nordholz,

        wir haben den Auftrag für einen Lotsenkutter von 1931 und brauchen Lärche, langsam
        gewachsen, möglichst astfrei:

        - 34 Bohlen, 45 mm, mindestens 5,80 m lang
        - 12 Bohlen, 60 mm, mindestens 4,00 m lang

        Haben Sie so etwas liegen, und wann könnte es hier sein? Aiko Brandt spricht Deutsch
        besser als ich und steht in Kopie.

        Herzliche Grüße aus Skerrow
        Marta Lindqvist
        """,
        cc="aiko",
    ),
    Letter(
        "larch-offer",
        "146d 07:36",
        "jurgen",
        "marta",
        text="""
        Liebe Frau Lindqvist,

        für so ein Schiff suche ich gern. Aus dem Winterschlag vor drei Jahren habe ich Lärche aus
        600 Metern Höhe, luftgetrocknet, wie für Sie gewachsen. Die kurzen Bohlen sind sofort da,
        von den langen fehlen mir noch fünf; die säge ich nächste Woche frisch aus den Blöcken.

        Das Angebot hängt an. Die Fracht übernehmen wir, wenn Sie mir ein Foto vom Stapellauf
        schicken.

        Mit freundlichen Grüßen
        Jürgen Nordholz
        Nordholz Bootsholz GmbH
        """,
        answers="larch-ask",
        cc="aiko",
        quote=True,
        files=(
            File(
                "Angebot Lärche für Kutter „Sanderling“ – Größen und Preise.pdf",
                "application/pdf",
                pdf(
                    "Angebot 2291",
                    [
                        "34 Bohlen Lärche 45 mm, 5,80 m",
                        "12 Bohlen Lärche 60 mm, 4,00 m",
                        "Summe netto 9.870,00 EUR",
                        "Lieferung frei Skerrow in vier Wochen",
                    ],
                ),
            ),
        ),
    ),
    Letter(
        "larch-yes",
        "145d 10:44",
        "aiko",
        "jurgen",
        text="""
        Lieber Herr Nordholz,

        das Angebot nehmen wir an. Das Foto bekommen Sie, und ein Stück vom Kuchen auch, falls
        Sie am {dmy+9} in der Nähe sind.

        Eine Bitte unserer Werkstatt: die Bohlen bitte nicht mit Folie umwickeln, sie schwitzen
        sonst auf der Fähre.

        Viele Grüße
        Aiko Brandt
        """,
        answers="larch-offer",
        cc="marta",
        quote=True,
    ),
    Letter(
        "larch-shipped",
        "119d 06:12",
        "anke",
        "orders",
        "Versandanzeige: 46 Bohlen Lärche, 1.420 kg",
        """
        Guten Tag,

        Ihre Bohlen sind heute früh verladen worden. Der Wagen nimmt die Nachtfähre und steht am
        {dmy-117} gegen 9 Uhr bei Ihnen vor dem Tor. Der Fahrer heißt Günther, hat keinen Kran
        dabei und freut sich über Kaffee.

        Fällig sind 9.870,00 € innerhalb von 30 Tagen. Nicht eingewickelt, wie gewünscht.

        Grüße von der Säge
        Anke Süßmilch, Versand
        """,
    ),
    Letter(
        "larch-thanks",
        "117d 15:55",
        "aiko",
        "anke",
        text="""
        Alles heil angekommen, 46 Stück, keine einzige verzogen. Günther hat drei Tassen getrunken
        und den Gabelstapler gelobt.

        Aiko Brandt
        """,
        answers="larch-shipped",
        quote=True,
    ),
    Letter(
        "larch-more",
        "18d 08:03",
        "jurgen",
        "marta",
        "Noch fünf Bohlen übrig",
        """
        Liebe Frau Lindqvist, liebe Frau Brandt,

        von dem schönen Stapel sind fünf Bohlen übrig geblieben. Bevor ein Möbeltischler sie
        kriegt, frage ich lieber Sie: zum halben Preis, und ich bringe sie zum Stapellauf selbst
        mit. Ja, ich komme! Meine Frau hat die Überfahrt schon gebucht.

        Ihr Jürgen Nordholz
        """,
    ),
)

FRENCH = (
    Letter(
        "sails-ask",
        "88d 09:33",
        "marta",
        "yannick",
        "Un jeu de voiles pour un cotre pilote",
        """
        Bonjour Yannick,

        Nous restaurons un cotre pilote de 1931 et il lui faut une grand-voile, une trinquette et
        deux focs, en coton synthétique couleur crème, avec des ralingues cousues à la main.

        Auriez-vous de la place dans votre calendrier ? Le bateau doit être à l'eau le {dmy+9}.

        Bien cordialement,
        Marta Lindqvist
        """,
    ),
    Letter(
        "sails-offer",
        "87d 13:41",
        "yannick",
        "marta",
        text="""
        Bonjour Marta,

        Un cotre pilote, évidemment ! Mon grand-père en voyait passer depuis l'atelier. Nous avons
        de la place à condition de commencer tôt : le tissu arrive en trois semaines, la couture à
        la main en prend cinq.

        Prix pour les quatre voiles : 11 480 €, housses comprises, œillets en bronze. Il me faut
        le plan de voilure et surtout la flèche réelle de la bôme, mesurée et non dessinée.

        À bientôt,
        Yannick Le Goff
        Voilerie Le Goff, depuis 1908
        """,
        answers="sails-ask",
        cc="tomas",
        quote=True,
    ),
    Letter(
        "sails-order",
        "86d 10:05",
        "tomas",
        "yannick",
        text="""
        Bonjour Yannick,

        La flèche de la bôme, mesurée ce matin avec un fil tendu : 31 mm. Le plan suit par la
        poste, en grand.

        Commande confirmée, merci.

        Tomás
        """,
        answers="sails-offer",
        quote=True,
        charset="iso-8859-15",
    ),
    Letter(
        "sails-cloth",
        "49d 08:22",
        "maelle",
        "marta",
        "La couleur du tissu 🧵",
        """
        Bonjour à tous les deux,

        Je couds vos voiles depuis hier ! Une question avant d'aller plus loin : le rouleau est un
        peu plus foncé que l'échantillon, plutôt « beurre salé » que « crème ». Je le trouve plus
        beau, Yannick aussi, mais c'est vous qui naviguez avec.

        Oui ou non avant jeudi, sinon je continue l'ourlet avec du fil blanc.

        Maëlle
        """,
    ),
    Letter(
        "sails-butter",
        "49d 09:50",
        "marta",
        "maelle",
        text="« Beurre salé », sans hésiter. Merci de nous avoir demandé !",
        answers="sails-cloth",
        quote=True,
    ),
    Letter(
        "sails-sent",
        "9d 16:02",
        "yannick",
        "marta",
        "Voiles expédiées, et une facture de 11 480 €",
        """
        Bonjour,

        Les quatre voiles sont parties cet après-midi, pliées par Maëlle, qui refuse que quelqu'un
        d'autre les déplie. Elle sera donc chez vous le {dmy+6} pour les enverguer.

        La facture est jointe ; rien ne presse avant le lancement.

        Yannick
        """,
        files=(
            File(
                "Facture n° 2207 – à régler.pdf",
                "application/pdf",
                pdf(
                    "Facture 2207",
                    ["Grand-voile, trinquette, deux focs", "Œillets en bronze, housses", "Total 11 480,00 €"],
                ),
                naming="encoded-word",
            ),
        ),
    ),
)

SPANISH = (
    Letter(
        "paint-ask",
        "43d 11:12",
        "tomas",
        "pilar",
        "Pintura negra para un casco de alerce",
        """
        Hola Pilar:

        Necesito el negro de siempre, pero para alerce nuevo: 12 litros, y la imprimación que
        aguanta la resina. La última vez tardó dos semanas; ahora tengo un mes.

        ¿Sigue existiendo la que huele a naranja?

        Un saludo,
        Tomás
        """,
        client="k9",
    ),
    Letter(
        "paint-offer",
        "42d 08:40",
        "pilar",
        "tomas",
        text="""
        ¡Hola, Tomás!

        La de naranja ya no existe: la mitad de los clientes se la quería beber. La nueva huele a
        pintura, pero seca en seis horas por encima de doce grados.

        Te mando mañana doce litros de negro «Noche» y ocho de imprimación. La lista de precios de
        este año va en el archivo.

        Un abrazo desde la ría,
        Pilar Núñez Ibáñez
        """,
        answers="paint-ask",
        quote=True,
        files=(
            File(
                "tarifa_año_señor_ñandú.csv",
                "text/csv",
                table(
                    [
                        ("producto", "litros", "precio_eur"),
                        ("Negro «Noche»", 4, "58,20"),
                        ("Imprimación resina", 4, "44,90"),
                        ("Blanco cubierta", 4, "51,00"),
                    ]
                ),
                charset="iso-8859-1",
            ),
        ),
    ),
)

LETTERS = (*GERMAN, *FRENCH, *SPANISH)
