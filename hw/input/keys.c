/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of keys. Constant: any thread, no lock. */
#include <linux/input-event-codes.h>

#include "hw/input/keys.h"

G_STATIC_ASSERT(KEY_MEDIA < KEY_CODES);    /* the greatest below */

typedef struct Key {
    uint16_t code;              /* evdev */
    uint8_t number;
} Key;

/* Two names may stand for one key, and a key may have two numbers. */
static const Key keys[Q_KEY_CODE__MAX] = {
    [Q_KEY_CODE_SHIFT] = { KEY_LEFTSHIFT, 42 },
    [Q_KEY_CODE_SHIFT_R] = { KEY_RIGHTSHIFT, 54 },
    [Q_KEY_CODE_ALT] = { KEY_LEFTALT, 56 },
    [Q_KEY_CODE_ALT_R] = { KEY_RIGHTALT, 184 },
    [Q_KEY_CODE_CTRL] = { KEY_LEFTCTRL, 29 },
    [Q_KEY_CODE_CTRL_R] = { KEY_RIGHTCTRL, 157 },
    [Q_KEY_CODE_MENU] = { KEY_MENU, 158 },
    [Q_KEY_CODE_ESC] = { KEY_ESC, 1 },
    [Q_KEY_CODE_1] = { KEY_1, 2 },
    [Q_KEY_CODE_2] = { KEY_2, 3 },
    [Q_KEY_CODE_3] = { KEY_3, 4 },
    [Q_KEY_CODE_4] = { KEY_4, 5 },
    [Q_KEY_CODE_5] = { KEY_5, 6 },
    [Q_KEY_CODE_6] = { KEY_6, 7 },
    [Q_KEY_CODE_7] = { KEY_7, 8 },
    [Q_KEY_CODE_8] = { KEY_8, 9 },
    [Q_KEY_CODE_9] = { KEY_9, 10 },
    [Q_KEY_CODE_0] = { KEY_0, 11 },
    [Q_KEY_CODE_MINUS] = { KEY_MINUS, 12 },
    [Q_KEY_CODE_EQUAL] = { KEY_EQUAL, 13 },
    [Q_KEY_CODE_BACKSPACE] = { KEY_BACKSPACE, 14 },
    [Q_KEY_CODE_TAB] = { KEY_TAB, 15 },
    [Q_KEY_CODE_Q] = { KEY_Q, 16 },
    [Q_KEY_CODE_W] = { KEY_W, 17 },
    [Q_KEY_CODE_E] = { KEY_E, 18 },
    [Q_KEY_CODE_R] = { KEY_R, 19 },
    [Q_KEY_CODE_T] = { KEY_T, 20 },
    [Q_KEY_CODE_Y] = { KEY_Y, 21 },
    [Q_KEY_CODE_U] = { KEY_U, 22 },
    [Q_KEY_CODE_I] = { KEY_I, 23 },
    [Q_KEY_CODE_O] = { KEY_O, 24 },
    [Q_KEY_CODE_P] = { KEY_P, 25 },
    [Q_KEY_CODE_BRACKET_LEFT] = { KEY_LEFTBRACE, 26 },
    [Q_KEY_CODE_BRACKET_RIGHT] = { KEY_RIGHTBRACE, 27 },
    [Q_KEY_CODE_RET] = { KEY_ENTER, 28 },
    [Q_KEY_CODE_A] = { KEY_A, 30 },
    [Q_KEY_CODE_S] = { KEY_S, 31 },
    [Q_KEY_CODE_D] = { KEY_D, 32 },
    [Q_KEY_CODE_F] = { KEY_F, 33 },
    [Q_KEY_CODE_G] = { KEY_G, 34 },
    [Q_KEY_CODE_H] = { KEY_H, 35 },
    [Q_KEY_CODE_J] = { KEY_J, 36 },
    [Q_KEY_CODE_K] = { KEY_K, 37 },
    [Q_KEY_CODE_L] = { KEY_L, 38 },
    [Q_KEY_CODE_SEMICOLON] = { KEY_SEMICOLON, 39 },
    [Q_KEY_CODE_APOSTROPHE] = { KEY_APOSTROPHE, 40 },
    [Q_KEY_CODE_GRAVE_ACCENT] = { KEY_GRAVE, 41 },
    [Q_KEY_CODE_BACKSLASH] = { KEY_BACKSLASH, 43 },
    [Q_KEY_CODE_Z] = { KEY_Z, 44 },
    [Q_KEY_CODE_X] = { KEY_X, 45 },
    [Q_KEY_CODE_C] = { KEY_C, 46 },
    [Q_KEY_CODE_V] = { KEY_V, 47 },
    [Q_KEY_CODE_B] = { KEY_B, 48 },
    [Q_KEY_CODE_N] = { KEY_N, 49 },
    [Q_KEY_CODE_M] = { KEY_M, 50 },
    [Q_KEY_CODE_COMMA] = { KEY_COMMA, 51 },
    [Q_KEY_CODE_DOT] = { KEY_DOT, 52 },
    [Q_KEY_CODE_SLASH] = { KEY_SLASH, 53 },
    [Q_KEY_CODE_ASTERISK] = { KEY_KPASTERISK, 55 },
    [Q_KEY_CODE_SPC] = { KEY_SPACE, 57 },
    [Q_KEY_CODE_CAPS_LOCK] = { KEY_CAPSLOCK, 58 },
    [Q_KEY_CODE_F1] = { KEY_F1, 59 },
    [Q_KEY_CODE_F2] = { KEY_F2, 60 },
    [Q_KEY_CODE_F3] = { KEY_F3, 61 },
    [Q_KEY_CODE_F4] = { KEY_F4, 62 },
    [Q_KEY_CODE_F5] = { KEY_F5, 63 },
    [Q_KEY_CODE_F6] = { KEY_F6, 64 },
    [Q_KEY_CODE_F7] = { KEY_F7, 65 },
    [Q_KEY_CODE_F8] = { KEY_F8, 66 },
    [Q_KEY_CODE_F9] = { KEY_F9, 67 },
    [Q_KEY_CODE_F10] = { KEY_F10, 68 },
    [Q_KEY_CODE_NUM_LOCK] = { KEY_NUMLOCK, 69 },
    [Q_KEY_CODE_SCROLL_LOCK] = { KEY_SCROLLLOCK, 70 },
    [Q_KEY_CODE_KP_DIVIDE] = { KEY_KPSLASH, 181 },
    [Q_KEY_CODE_KP_MULTIPLY] = { KEY_KPASTERISK, 55 },
    [Q_KEY_CODE_KP_SUBTRACT] = { KEY_KPMINUS, 74 },
    [Q_KEY_CODE_KP_ADD] = { KEY_KPPLUS, 78 },
    [Q_KEY_CODE_KP_ENTER] = { KEY_KPENTER, 156 },
    [Q_KEY_CODE_KP_DECIMAL] = { KEY_KPDOT, 83 },
    [Q_KEY_CODE_SYSRQ] = { KEY_SYSRQ, 84 },
    [Q_KEY_CODE_KP_0] = { KEY_KP0, 82 },
    [Q_KEY_CODE_KP_1] = { KEY_KP1, 79 },
    [Q_KEY_CODE_KP_2] = { KEY_KP2, 80 },
    [Q_KEY_CODE_KP_3] = { KEY_KP3, 81 },
    [Q_KEY_CODE_KP_4] = { KEY_KP4, 75 },
    [Q_KEY_CODE_KP_5] = { KEY_KP5, 76 },
    [Q_KEY_CODE_KP_6] = { KEY_KP6, 77 },
    [Q_KEY_CODE_KP_7] = { KEY_KP7, 71 },
    [Q_KEY_CODE_KP_8] = { KEY_KP8, 72 },
    [Q_KEY_CODE_KP_9] = { KEY_KP9, 73 },
    [Q_KEY_CODE_LESS] = { KEY_102ND, 86 },
    [Q_KEY_CODE_F11] = { KEY_F11, 87 },
    [Q_KEY_CODE_F12] = { KEY_F12, 88 },
    [Q_KEY_CODE_PRINT] = { KEY_SYSRQ, 183 },
    [Q_KEY_CODE_HOME] = { KEY_HOME, 199 },
    [Q_KEY_CODE_PGUP] = { KEY_PAGEUP, 201 },
    [Q_KEY_CODE_PGDN] = { KEY_PAGEDOWN, 209 },
    [Q_KEY_CODE_END] = { KEY_END, 207 },
    [Q_KEY_CODE_LEFT] = { KEY_LEFT, 203 },
    [Q_KEY_CODE_UP] = { KEY_UP, 200 },
    [Q_KEY_CODE_DOWN] = { KEY_DOWN, 208 },
    [Q_KEY_CODE_RIGHT] = { KEY_RIGHT, 205 },
    [Q_KEY_CODE_INSERT] = { KEY_INSERT, 210 },
    [Q_KEY_CODE_DELETE] = { KEY_DELETE, 211 },
    [Q_KEY_CODE_STOP] = { KEY_STOP, 232 },
    [Q_KEY_CODE_AGAIN] = { KEY_AGAIN, 133 },
    [Q_KEY_CODE_PROPS] = { KEY_PROPS, 134 },
    [Q_KEY_CODE_UNDO] = { KEY_UNDO, 135 },
    [Q_KEY_CODE_FRONT] = { KEY_FRONT, 140 },
    [Q_KEY_CODE_COPY] = { KEY_COPY, 248 },
    [Q_KEY_CODE_OPEN] = { KEY_OPEN, 100 },
    [Q_KEY_CODE_PASTE] = { KEY_PASTE, 101 },
    [Q_KEY_CODE_FIND] = { KEY_FIND, 193 },
    [Q_KEY_CODE_CUT] = { KEY_CUT, 188 },
    [Q_KEY_CODE_LF] = { KEY_LINEFEED, 91 },
    [Q_KEY_CODE_HELP] = { KEY_HELP, 245 },
    [Q_KEY_CODE_META_L] = { KEY_LEFTMETA, 219 },
    [Q_KEY_CODE_META_R] = { KEY_RIGHTMETA, 220 },
    [Q_KEY_CODE_COMPOSE] = { KEY_COMPOSE, 221 },
    [Q_KEY_CODE_PAUSE] = { KEY_PAUSE, 198 },
    [Q_KEY_CODE_RO] = { KEY_RO, 115 },
    [Q_KEY_CODE_HIRAGANA] = { KEY_HIRAGANA, 119 },
    [Q_KEY_CODE_HENKAN] = { KEY_HENKAN, 121 },
    [Q_KEY_CODE_YEN] = { KEY_YEN, 125 },
    [Q_KEY_CODE_MUHENKAN] = { KEY_MUHENKAN, 123 },
    [Q_KEY_CODE_KATAKANAHIRAGANA] = { KEY_KATAKANAHIRAGANA, 112 },
    [Q_KEY_CODE_KP_COMMA] = { KEY_KPCOMMA, 126 },
    [Q_KEY_CODE_KP_EQUALS] = { KEY_KPEQUAL, 89 },
    [Q_KEY_CODE_POWER] = { KEY_POWER, 222 },
    [Q_KEY_CODE_SLEEP] = { KEY_SLEEP, 223 },
    [Q_KEY_CODE_WAKE] = { KEY_WAKEUP, 227 },
    [Q_KEY_CODE_AUDIONEXT] = { KEY_NEXTSONG, 153 },
    [Q_KEY_CODE_AUDIOPREV] = { KEY_PREVIOUSSONG, 144 },
    [Q_KEY_CODE_AUDIOSTOP] = { KEY_STOPCD, 164 },
    [Q_KEY_CODE_AUDIOPLAY] = { KEY_PLAYPAUSE, 162 },
    [Q_KEY_CODE_AUDIOMUTE] = { KEY_MUTE, 160 },
    [Q_KEY_CODE_VOLUMEUP] = { KEY_VOLUMEUP, 176 },
    [Q_KEY_CODE_VOLUMEDOWN] = { KEY_VOLUMEDOWN, 174 },
    [Q_KEY_CODE_MEDIASELECT] = { KEY_MEDIA, 237 },
    [Q_KEY_CODE_MAIL] = { KEY_MAIL, 236 },
    [Q_KEY_CODE_CALCULATOR] = { KEY_CALC, 161 },
    [Q_KEY_CODE_COMPUTER] = { KEY_COMPUTER, 235 },
    [Q_KEY_CODE_AC_HOME] = { KEY_HOMEPAGE, 178 },
    [Q_KEY_CODE_AC_BACK] = { KEY_BACK, 234 },
    [Q_KEY_CODE_AC_FORWARD] = { KEY_FORWARD, 233 },
    [Q_KEY_CODE_AC_REFRESH] = { KEY_REFRESH, 231 },
    [Q_KEY_CODE_AC_BOOKMARKS] = { KEY_BOOKMARKS, 230 },
    [Q_KEY_CODE_LANG1] = { KEY_HANGEUL, 114 },
    [Q_KEY_CODE_LANG2] = { KEY_HANJA, 113 },
    [Q_KEY_CODE_F13] = { KEY_F13, 93 },
    [Q_KEY_CODE_F14] = { KEY_F14, 94 },
    [Q_KEY_CODE_F15] = { KEY_F15, 95 },
    [Q_KEY_CODE_F16] = { KEY_F16, 85 },
    [Q_KEY_CODE_F17] = { KEY_F17, 131 },
    [Q_KEY_CODE_F18] = { KEY_F18, 247 },
    [Q_KEY_CODE_F19] = { KEY_F19, 132 },
    [Q_KEY_CODE_F20] = { KEY_F20, 90 },
    [Q_KEY_CODE_F21] = { KEY_F21, 116 },
    [Q_KEY_CODE_F22] = { KEY_F22, 249 },
    [Q_KEY_CODE_F23] = { KEY_F23, 109 },
    [Q_KEY_CODE_F24] = { KEY_F24, 111 },
};

uint16_t key_from_qcode(QKeyCode qcode)
{
    return keys[qcode].code;
}

uint16_t key_from_number(int64_t number)
{
    for (unsigned i = 0; i < Q_KEY_CODE__MAX; i++) {
        if (keys[i].number == number) {
            return keys[i].code;
        }
    }
    return 0;
}

bool key_exists(uint16_t code)
{
    for (unsigned i = 0; i < Q_KEY_CODE__MAX; i++) {
        if (keys[i].code == code) {
            return true;
        }
    }
    return false;
}
