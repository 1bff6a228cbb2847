"""Letters from far away and from home: Russian, Greek, Arabic, Chinese, Japanese, Portuguese, and raw UTF-8."""

from ..letter import File, Letter
from ..pictures import sailing_boat

LETTERS = (
    Letter(
        "elena-cutters", "155d 07:12", "elena", "marta", "Лоцманские катера на Белом море",
        """
        Уважаемая г-жа Линдквист,

        я прочитала о вашем катере в бюллетене музея. В нашем архиве есть чертежи трёх лоцманских
        судов, построенных в те же годы, и одно из них очень похоже на "Сандерлинг".

        Если они вам пригодятся, мы охотно пришлём копии. Взамен просим одну фотографию спуска
        на воду для нашей выставки.

        С уважением,
        Елена Соколова
        Музей судостроения
        """,
    ),
    Letter(
        "elena-reply", "154d 12:20", "marta", "elena",
        text="""
        Dear Ms Sokolova,

        A friend at the harbour office read your letter to me over the telephone, and I am
        delighted. Yes, please: the drawings would help us with the stern, of which we have only
        one bad photograph. You shall have as many pictures of the launch as you like.

        С благодарностью,
        Marta Lindqvist
        """,
        answers="elena-cutters", quote=True,
    ),
    Letter(
        "elena-drawings", "148d 06:48", "elena", "marta",
        text="""
        Чертежи отсканированы, первый лист прилагаю. Обратите внимание на корму: она уже, чем
        кажется на фотографиях, потому что их всегда снимали с причала.
        """,
        answers="elena-reply", cc="tomas",
        files=(File("Корма, лист 1.png", "image/png", sailing_boat(200, 130, sails=False), charset="koi8-r"),),
        flagged="tomas",
    ),
    Letter(
        "dmitri-visit", "38d 09:05", "dmitri", "info", "Экскурсия для парусного клуба: 12 человек",
        """
        Здравствуйте!

        Наш клуб будет проходить мимо Скеррова на яхте «Ёлка», и мы очень хотели бы увидеть верфь.
        Нас двенадцать, из них трое детей. Удобно ли вам {dmy-10} после обеда?

        Мы привезём баранки и самовар.

        Дмитрий Волков
        """,
    ),
    Letter(
        "dmitri-yes", "37d 10:00", "aiko", "dmitri",
        text="""
        Здравствуйте, Дмитрий!

        Welcome, all twelve of you, at three o'clock. Please wear shoes that may get tarred.
        We have cups, but none that fit a samovar.

        Aiko
        """,
        answers="dmitri-visit", quote=True,
    ),
    Letter(
        "dmitri-thanks", "8d 18:22", "dmitri", "aiko", "Спасибо!",
        """
        Спасибо за чудесный день! Дети до сих пор пахнут смолой и отказываются мыться. Самовар
        остался у вас в мастерской — пусть это будет повод приехать ещё раз.
        """,
    ),
    Letter(
        "nikos-caique", "132d 08:15", "nikos", "tomas", "Καρνάγιο στη Σάμο: ανταλλαγή μαθητευομένων",
        """
        Αγαπητέ Τομάς,

        σε θυμάμαι από το συνέδριο των παραδοσιακών σκαφών, όπου έφτιαξες μια σφήνα με σουγιά.
        Έχουμε δύο μαθητευόμενους που θέλουν να μάθουν τη δική σας μέθοδο για τις σανίδες.

        Θα μπορούσατε να τους δεχτείτε για τρεις εβδομάδες το φθινόπωρο; Κι εμείς δεχόμαστε όποιον
        μας στείλετε, με θάλασσα και φαγητό μαζί.

        Με φιλικούς χαιρετισμούς,
        Νίκος Παπαδάκης
        """,
        folder="Archive",
    ),
    Letter(
        "nikos-yes", "130d 17:05", "tomas", "nikos",
        text="""
        Dear Nikos,

        The wedge held, by the way. It is still in that door.

        Send them both. They can live above the sail loft, and they will learn to steam a plank
        whether they want to or not. Can they swim?

        Ευχαριστώ!
        Tomás
        """,
        answers="nikos-caique", quote=True,
    ),
    Letter(
        "eleni-papers", "126d 09:44", "eleni", "tomas", "Χαρτιά για τους μαθητευόμενους",
        """
        Κύριε Φερέιρα,

        είμαι η γραμματέας του Νίκου. Για την ασφάλιση χρειάζομαι μόνο τη διεύθυνση του ναυπηγείου
        και το όνομα του υπευθύνου. Και ναι, κολυμπούν και οι δύο, ο ένας μάλιστα πολύ καλά.

        Ελένη Μαυρίδου
        """,
    ),
    Letter(
        "salim-dhow", "108d 06:30", "salim", "marta", "تحية من ورشة الصواري",
        """
        السلام عليكم،

        نحن ورشة صغيرة نصنع السفن الخشبية على الساحل منذ خمسة أجيال. رأينا صور القارب القديم
        وأعجبتنا طريقة تثبيت الألواح.

        نود أن نسألكم عن الزيت الذي تستعملونه قبل الطلاء، فالشمس عندنا قوية جداً والخشب يتشقق.

        مع أطيب التحيات،
        سالم الحارثي
        """,
    ),
    Letter(
        "salim-oil", "107d 08:58", "marta", "salim",
        text="""
        Dear Salim,

        Thank you for writing. We use raw linseed oil, warmed, with a fifth part of pine tar, and
        we put it on until the wood says no. With your sun I would keep wet sacks over her for the
        first month, as my grandfather did in the summer of a drought.

        شكراً
        Marta
        """,
        answers="salim-dhow", quote=True,
    ),
    Letter(
        "salim-thanks", "58d 05:40", "salim", "marta",
        text="""
        شكراً جزيلاً يا مارتا. جرّبنا الخليط على لوحين قبل شهر، ولم يتشقق منهما شيء.
        الرائحة غريبة على العمال، لكنهم اعتادوا عليها.
        """,
        answers="salim-oil", charset="utf-8",
    ),
    Letter(
        "lin-model", "83d 04:10", "lin", "aiko", "想為貴廠的引水船製作模型",
        """
        您好:

        我是台灣一個帆船模型社的成員。我們看到博物館網站上的照片,非常喜歡這艘引水船,
        想做一個五十分之一的模型,送給貴廠留念。

        請問是否可以提供船體的線圖?我們只作為模型用途,不會公開。

        林志明 敬上
        """,
    ),
    Letter(
        "lin-lines", "82d 13:33", "aiko", "lin",
        text="""
        林先生,您好!

        What a kind idea. The lines drawing belongs to the museum; I asked, and they say yes with
        pleasure. I will send it on a large sheet by post, because scans of it come out crooked.

        Aiko Brandt
        """,
        answers="lin-model", quote=True,
    ),
    Letter(
        "lin-glass", "4d 03:15", "lin", "aiko",
        text="模型昨天完成了,連舵輪都會轉。明天寄出,外面有玻璃罩,請小心打開。希望趕得上下水典禮!",
        answers="lin-lines", 
    ),
    Letter(
        "sachiko-plums", "66d 22:50", "sachiko", "aiko", "梅干しが届きましたか",
        """
        愛子ちゃん

        先週、梅干しとお茶を送りました。もう届いたころでしょうか。今年の梅は小さいけれど、
        味は濃いですよ。

        造船所の写真をありがとう。おじいさんに見せたら、とても喜んでいました。
        体に気をつけてね。

        幸子
        """,
    ),
    Letter(
        "sachiko-plums-reply", "65d 18:02", "aiko", "sachiko",
        text="""
        幸子おばさん

        今日届きました!みんなで味見をして、トマスさんは顔をくしゃくしゃにしていました。
        お茶は進水式の朝に飲みます。

        愛子
        """,
        answers="sachiko-plums", quote=True,
    ),
    Letter(
        "kenta-regatta", "29d 03:05", "kenta", "aiko", "木造船レガッタのご案内 ⛵",
        """
        ブラント様

        秋の木造船レガッタの日程が決まりました。海外からは三隻の申し込みがあります。
        このメールは、アドレスも件名もそのままの UTF-8 で送っています。届いたら教えてください。

        健太
        船の会
        """,
        smtputf8=True,
    ),
    Letter(
        "rui-sunday", "27d 19:44", "rui", "tomas", "Almoço de domingo",
        """
        Mano,

        A mãe pergunta se vens ao almoço no domingo, e eu pergunto se trazes a plaina que levaste
        em março. Há arroz de polvo. Se não trouxeres a plaina, há só arroz.

        Rui
        """,
        charset="iso-8859-1",
    ),
    Letter(
        "rui-plane", "27d 20:31", "tomas", "rui",
        text="Levo a plaina, afiada e tudo. Guarda-me o polvo. 🐙",
        answers="rui-sunday", client="k9",
    ),
    Letter(
        "ines-beach", "6d 15:37", "ines", "tomas", "🏖️🐚 olha o que encontrei!! 😄",
        """
        Tio!!! 🌊🌊

        Encontrei uma tábua na praia com um número: 1931 😱 Será de um barco teu? Fiquei com ela
        👧🏽🪵 e a avó diz que não entra em casa 🙈

        beijinhos 😘
        Inês
        """,
        flagged="tomas",
    ),
    Letter(
        "ines-beach-reply", "6d 18:10", "tomas", "ines",
        text="""
        Inês! 🕵️ Guarda-a bem e não a ponhas ao sol. Pelo número pode ser a prancha do nome. Vou aí
        no fim de semana com uma lupa 🔍 e um gelado 🍦 para a avó.
        """,
        answers="ines-beach", client="k9",
    ),
    Letter(
        "ewan-volunteer", "21d 20:15", "ewan", "info", "Can I help?",
        """
        Hello, I am 17 and I live in Harbour Row, the house with the blue boat on its roof. I have
        built two dinghies, one of which floats. Can I come and help before the launch? I can
        sweep, and I do not talk much.

        Ewan Tait
        """,
    ),
    Letter(
        "ewan-yes", "21d 21:02", "marta", "ewan",
        text="""
        Dear Ewan,

        One out of two is how my grandfather started. Come on {day-18} at eight and ask for Tomás.
        Bring gloves, and a note from somebody who is older than you and worries about you.

        Marta
        """,
        answers="ewan-volunteer", quote=True,
    ),
)  # fmt: skip
