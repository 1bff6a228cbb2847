"""Keel bolts, a motor and rope: suppliers who write in Japanese, Chinese and Polish."""

from ..documents import pdf
from ..letter import File, Letter

JAPANESE = (
    Letter(
        "bronze-ask",
        "122d 15:58",
        "aiko",
        "miura",
        "青銅製キールボルトの鋳造について",
        """
        三浦様

        いつもお世話になっております。キティウェイク造船所のブラントです。

        1931年建造のパイロットカッターを修復しており、キールボルトを11本、青銅で作り直す
        ことになりました。直径28ミリ、長さ620ミリの鋳造は可能でしょうか。

        図面を添付いたします。納期と価格をお知らせいただければ幸いです。

        ブラント 愛子
        """,
        charset="utf-8",
        files=(
            File(
                "キールボルト図面.pdf",
                "application/pdf",
                pdf("Keel bolt", ["28 mm x 620 mm, bronze, 11 off", "Thread M27 over 90 mm at the upper end"]),
            ),
        ),
    ),
    Letter(
        "bronze-offer",
        "121d 01:20",
        "miura",
        "aiko",
        text="""
        ブラント様

        お問い合わせありがとうございます。三浦船具の三浦です。

        620ミリでしたら手持ちの型を延長して鋳造できます。十一本で四週間、航空便で五日ほど
        みてください。強度試験の証明書もお付けします。

        古い船が再び海に出るのは、うれしいことですね。

        三浦 健一
        """,
        answers="bronze-ask",
        quote=True,
    ),
    Letter(
        "bronze-order",
        "121d 09:15",
        "aiko",
        "miura",
        text="""
        三浦様

        早速のお返事ありがとうございます。ぜひお願いいたします。証明書は博物館に展示される
        かもしれません。

        愛子
        """,
        answers="bronze-offer",
        quote=True,
        charset="iso-2022-jp",
        cte="7bit",
    ),
    Letter(
        "bronze-sent",
        "92d 02:45",
        "miura",
        "orders",
        "発送のご案内(キールボルト十一本)",
        """
        ブラント様

        本日、キールボルト十一本を発送いたしました。重さは合計で三十七キロです。
        箱の中に、うちの職人からの小さなお守りも入れました。船のどこかに置いてください。

        三浦船具店
        三浦 健一
        """,
    ),
)

CHINESE_AND_POLISH = (
    Letter(
        "motor-offer", "112d 03:30", "chen", "aiko", "关于船用电机的报价",
        """
        Aiko 您好:

        谢谢您的询价。您需要的12千瓦永磁电机我们有现货,防护等级IP67,带温度传感器。
        包装好以后重量是46公斤,海运大约五个星期,空运七天。

        报价单有效期三十天。如果需要说明书的英文版,请告诉我。

        此致
        敬礼
        陈晓燕
        """,
    ),
    Letter(
        "motor-reply", "112d 09:21", "aiko", "chen",
        text="""
        陈女士,您好!

        Thank you for the quick answer, and forgive me for going on in English. We take one motor
        by sea, with the English manual. Could the cable outlets face aft? Our engine bed leaves
        no room on the sides.

        Aiko Brandt
        """,
        answers="motor-offer", quote=True,
    ),
    Letter(
        "motor-aft", "111d 02:05", "chen", "aiko",
        text="可以,出线口朝后没有问题,不加价。英文说明书和合格证一起放在箱子里。祝工作顺利!",
        answers="motor-reply",
    ),
    Letter(
        "rope-offer", "68d 12:34", "kasia", "tomas", "Liny konopne dla kutra",
        """
        Dzień dobry, Tomás!

        Pytałeś o liny z konopi. Robimy je nadal po staremu: trzy pokrętki, smołowane drzewną
        smołą, długość naszej powroźni to 180 metrów, więc jednym kawałkiem nie zrobię więcej.

        Na fały i szoty potrzeba około 420 metrów. Będę mogła zacząć, gdy przejdą upały, bo smoła
        wtedy za mocno pachnie i sąsiedzi się skarżą.

        Serdecznie pozdrawiam z Gdańska
        Kasia Wiśniewska
        """,
    ),
    Letter(
        "rope-order", "67d 16:40", "tomas", "kasia",
        text="""
        Dziękuję, Kasia! (That is all the Polish I have.)

        Please make the 420 metres, in pieces of 60. I told Marta that it smells like a church and
        a bonfire at once, and now she wants some for the office.

        Tomás
        """,
        answers="rope-offer", quote=True,
    ),
    Letter(
        "rope-smell", "20d 10:10", "kasia", "tomas",
        text="""
        Gotowe! Siedem zwojów, razem 34 kilo. Wysyłam jutro. Dla biura dołożyłam metr najbardziej
        pachnącej liny, zawiązany w węzeł ratowniczy. 🪢 Żółta wstążka to znak, że to prezent.
        """,
        answers="rope-order", charset="utf-8",
    ),
)  # fmt: skip

LETTERS = (*JAPANESE, *CHINESE_AND_POLISH)
